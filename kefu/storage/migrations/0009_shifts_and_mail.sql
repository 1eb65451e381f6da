-- Hours in which humans are there as administrators chose them, and mails to the team.

CREATE TABLE shift_hours (
    -- null: the whole shop
    team_id uuid UNIQUE NULLS NOT DISTINCT REFERENCES teams ON DELETE CASCADE,
    starts text CHECK (char_length(starts) = 5),
    ends text CHECK (char_length(ends) = 5),
    time_zone text NOT NULL CHECK (char_length(time_zone) BETWEEN 1 AND 64),
    weekends_disabled boolean NOT NULL,
    holidays text[] NOT NULL CHECK (cardinality(holidays) <= 1000),
    changed_at timestamptz NOT NULL,
    CHECK ((starts IS NULL) = (ends IS NULL))
);

-- One row per mail, made from chat_events or by hand. See kefu/notifications/README.md.
CREATE TABLE mails (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind text NOT NULL CHECK (kind IN ('escalated', 'address', 'requested', 'alert')),
    -- no reference: a chat may be erased
    chat_id uuid,
    -- the event of the chat that it is sent for; one mail for each
    log_id bigint,
    alert jsonb,
    -- the same for every attempt
    message_id text NOT NULL UNIQUE CHECK (char_length(message_id) <= 400),
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed', 'unknown')),
    attempts integer NOT NULL DEFAULT 0,
    -- null: nothing is left to do
    due_at timestamptz,
    claimed_until timestamptz,
    -- how far the chat had come at the first attempt; the later ones say the same
    until_seq bigint,
    address_log_id bigint,
    delivered text[] NOT NULL DEFAULT '{}',
    failure text CHECK (char_length(failure) <= 100),
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    UNIQUE (chat_id, log_id),
    CHECK ((kind = 'alert') = (chat_id IS NULL) AND (kind = 'alert') = (alert IS NOT NULL)),
    CHECK ((kind IN ('escalated', 'address')) = (log_id IS NOT NULL))
);
CREATE INDEX mails_due ON mails (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX mails_created_at_idx ON mails (created_at);
