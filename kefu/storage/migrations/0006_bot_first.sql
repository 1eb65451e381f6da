-- What the bot has dealt with, and what came of calling a human after hours.
ALTER TABLE chats
    ADD COLUMN answered_seq   bigint  NOT NULL DEFAULT 0,
    ADD COLUMN bot_failures   integer NOT NULL DEFAULT 0,
    ADD COLUMN after_hours_at timestamptz,
    ADD COLUMN contact_email  text;

-- What the courier walks through: escalations after hours, and addresses left.
CREATE INDEX chat_events_for_the_courier ON chat_events (created_at)
    WHERE kind IN ('AskedAfterHours', 'EmailLeft');
