-- Agents, how they sign in, and the keys kefu made for itself.

CREATE TABLE agents (
    id uuid PRIMARY KEY,
    username text NOT NULL CHECK (char_length(username) BETWEEN 1 AND 64),
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    avatar_url text CHECK (char_length(avatar_url) <= 2000),
    -- argon2id; null: this agent signs in by link only
    password_hash text,
    role text NOT NULL CHECK (role IN ('agent', 'supervisor', 'admin')),
    max_sessions integer NOT NULL DEFAULT 5 CHECK (max_sessions BETWEEN 1 AND 50),
    status text NOT NULL DEFAULT 'offline'
        CHECK (status IN ('online', 'busy', 'break', 'lunch', 'training', 'offline')),
    status_note text CHECK (char_length(status_note) <= 500),
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    last_login_at timestamptz
);
CREATE UNIQUE INDEX agents_username_key ON agents (lower(username));

-- One row per sign-in: the family of all refresh tokens that follow from it.
CREATE TABLE agent_sessions (
    id uuid PRIMARY KEY,
    agent_id uuid NOT NULL REFERENCES agents ON DELETE CASCADE,
    -- sha256 of the one refresh token that is good now, the generation-th of its family
    refresh_hash bytea NOT NULL CHECK (octet_length(refresh_hash) = 32),
    generation integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text CHECK (revoked_reason IN ('signed_out', 'reused')),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
);
CREATE INDEX agent_sessions_agent_id_idx ON agent_sessions (agent_id);

-- Sign-ins not known to have succeeded, by lower-cased username and by network address.
CREATE TABLE sign_in_attempts (
    kind text NOT NULL CHECK (kind IN ('username', 'address')),
    key text NOT NULL,
    failures integer NOT NULL,
    counted_since timestamptz NOT NULL,
    locked_until timestamptz,
    PRIMARY KEY (kind, key)
);
CREATE INDEX sign_in_attempts_counted_since_idx ON sign_in_attempts (counted_since);

CREATE TABLE sign_in_links (
    token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    agent_id uuid NOT NULL REFERENCES agents ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX sign_in_links_agent_id_idx ON sign_in_links (agent_id);

-- Keys generated at the first start; a key given in the settings is never written here.
CREATE TABLE secrets (
    name text PRIMARY KEY,
    value text NOT NULL
);
