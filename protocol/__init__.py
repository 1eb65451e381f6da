"""What travels between kefu and the world, as types, and nothing that moves it."""
