-- What the cleanup walks through: open chats that nobody waits in (kefu/conversations/cleanup.py).
CREATE INDEX chats_may_be_silent ON chats (id) WHERE status IN ('bot', 'active');
