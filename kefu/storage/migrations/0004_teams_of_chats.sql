-- The team a chat was last handed to. No reference: a team that is deleted meanwhile must not keep
-- the journal from writing; the queue offers such a chat to anybody.
ALTER TABLE chats ADD COLUMN team_id uuid;
