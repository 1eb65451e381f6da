-- What the shop knows, the vectors its texts are found by, and what nobody could answer.

CREATE TABLE knowledge_entries (
    id uuid PRIMARY KEY,
    question text NOT NULL CHECK (char_length(question) BETWEEN 1 AND 500),
    answer text NOT NULL CHECK (char_length(answer) BETWEEN 1 AND 4000),
    phrasings text[] NOT NULL DEFAULT '{}' CHECK (cardinality(phrasings) <= 20),
    tags text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 20),
    locale text CHECK (locale IN ('zh-CN', 'zh-TW', 'en')),
    enabled boolean NOT NULL DEFAULT true,
    key text CHECK (char_length(key) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX knowledge_entries_question_key
    ON knowledge_entries (lower(question), coalesce(locale, ''));
CREATE UNIQUE INDEX knowledge_entries_key_key
    ON knowledge_entries (key, coalesce(locale, '')) WHERE key IS NOT NULL;
CREATE INDEX knowledge_entries_version_idx ON knowledge_entries (version);

-- One row. Every write raises it first and so waits for the writes before it: who has read all rows
-- up to a version has missed none.
CREATE TABLE knowledge_version (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version bigint NOT NULL
);
INSERT INTO knowledge_version (version) VALUES (0);

-- Half-precision floats, made again when they are lost; another encoder makes others of the same
-- text. Instances drop those of texts that no entry has any more.
CREATE TABLE knowledge_vectors (
    encoder text NOT NULL CHECK (char_length(encoder) BETWEEN 1 AND 100),
    text_hash bytea NOT NULL CHECK (octet_length(text_hash) = 16),
    vector bytea NOT NULL CHECK (octet_length(vector) BETWEEN 2 AND 8192),
    PRIMARY KEY (encoder, text_hash)
);

-- `normal` is the question without what differs only in width, case, script and punctuation.
CREATE TABLE knowledge_unanswered (
    id uuid PRIMARY KEY,
    normal text NOT NULL UNIQUE CHECK (char_length(normal) BETWEEN 1 AND 500),
    text text NOT NULL CHECK (char_length(text) BETWEEN 1 AND 500),
    locale text CHECK (locale IN ('zh-CN', 'zh-TW', 'en')),
    asked_count integer NOT NULL CHECK (asked_count > 0),
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL
);
CREATE INDEX knowledge_unanswered_count_idx
    ON knowledge_unanswered (asked_count DESC, last_at DESC, id);
CREATE INDEX knowledge_unanswered_last_at_idx ON knowledge_unanswered (last_at DESC);
