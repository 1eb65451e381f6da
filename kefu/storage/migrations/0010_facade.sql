-- Customers who have come with a token signed by the shop: their session answers to nobody without
-- one. Until now every customer who is no guest came that way.
ALTER TABLE customers ADD COLUMN is_signed boolean NOT NULL DEFAULT false;
UPDATE customers SET is_signed = true WHERE NOT is_guest;

-- What lists of sessions walk through, and their figures.
CREATE INDEX chats_by_start ON chats (started_at DESC, id DESC);
CREATE INDEX chat_events_of_handoff ON chat_events (created_at)
    WHERE kind IN ('HumanCalled', 'Taken', 'Transferred', 'BotAnswered');
