-- Who owns which slot of conversations. A writer names the epoch it holds in the very statement that
-- writes; a stale epoch writes nothing. Conversations map to slots by kefu/conversations/slots.py.
CREATE TABLE slot_owner (
    slot     integer PRIMARY KEY CHECK (slot BETWEEN 0 AND 1023),
    epoch    bigint  NOT NULL DEFAULT 0,
    instance text
);
INSERT INTO slot_owner (slot) SELECT generate_series(0, 1023);

-- One row: changes when this database is not the continuation of what clients saw (a restore).
CREATE TABLE log_identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    log_id   uuid    NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO log_identity DEFAULT VALUES;

CREATE TABLE customers (
    id         uuid PRIMARY KEY,
    sub        text NOT NULL,
    is_guest   boolean NOT NULL DEFAULT false,
    name       text,
    email      text,
    phone      text,
    locale     text,
    is_vip     boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (is_guest, sub)
);

CREATE TABLE chats (
    id             uuid PRIMARY KEY,
    customer_id    uuid NOT NULL REFERENCES customers (id),
    slot           integer NOT NULL,
    epoch          bigint  NOT NULL,
    status         text NOT NULL CHECK (status IN ('bot', 'waiting', 'active', 'ended')),
    agent_id       uuid,
    agent_name     text,
    agent_avatar   text,
    began_with_bot boolean NOT NULL,
    topic          text,
    order_id       uuid,
    reason         text,
    log_head       bigint NOT NULL,
    customer_read_seq bigint NOT NULL DEFAULT 0,
    agent_read_seq    bigint NOT NULL DEFAULT 0,
    started_at     timestamptz NOT NULL,
    waiting_since  timestamptz,
    taken_at       timestamptz,
    ended_at       timestamptz,
    rating         smallint CHECK (rating BETWEEN 1 AND 5),
    feedback       text
);
CREATE UNIQUE INDEX chats_one_open ON chats (customer_id) WHERE status <> 'ended';
CREATE INDEX chats_of_customer ON chats (customer_id, started_at DESC);
CREATE INDEX chats_waiting ON chats (waiting_since) WHERE status = 'waiting';
CREATE INDEX chats_active ON chats (agent_id) WHERE status = 'active';

-- The public messages of a chat: seq is 1, 2, 3 ... without a gap, in the order of durability.
CREATE TABLE chat_messages (
    chat_id           uuid   NOT NULL,
    seq               bigint NOT NULL,
    message_id        uuid   NOT NULL,
    sender_type       text   NOT NULL CHECK (sender_type IN ('customer', 'agent', 'ai', 'system')),
    sender_id         uuid,
    sender_name       text,
    content           text   NOT NULL,
    message_type      text   NOT NULL CHECK (message_type IN ('text', 'image', 'product', 'system')),
    client_message_id text,
    epoch             bigint NOT NULL,
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (chat_id, seq)
);
CREATE UNIQUE INDEX chat_messages_once ON chat_messages (chat_id, sender_id, client_message_id)
    WHERE client_message_id IS NOT NULL;

-- Everything else that happened to a chat; never travels to a customer.
CREATE TABLE chat_events (
    chat_id    uuid   NOT NULL,
    log_id     bigint NOT NULL,
    kind       text   NOT NULL,
    by_type    text   NOT NULL,
    by_id      uuid,
    by_name    text,
    from_phase text,
    to_phase   text,
    reason     text,
    body       jsonb,
    epoch      bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (chat_id, log_id)
);
