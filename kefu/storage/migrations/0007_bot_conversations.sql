-- Which conversation of which provider a session is in, and since when what it says is context.
-- The id is the provider's own name for it; see kefu/bot/contexts.py.
CREATE TABLE bot_conversations (
    session text NOT NULL CHECK (char_length(session) BETWEEN 1 AND 128),
    provider text NOT NULL CHECK (char_length(provider) BETWEEN 1 AND 32),
    conversation_id text NOT NULL CHECK (char_length(conversation_id) BETWEEN 1 AND 128),
    since timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (session, provider)
);
