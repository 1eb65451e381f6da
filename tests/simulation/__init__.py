"""One whole instance on a virtual clock, its machine, network and people simulated from a seed."""
