-- Teams and skills of agents, more reasons for a session to end, and the audit log.

ALTER TABLE agents ADD COLUMN skills text[] NOT NULL DEFAULT '{}'
    CHECK (cardinality(skills) <= 50 AND char_length(array_to_string(skills, '')) <= 2500);

CREATE TABLE teams (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX teams_name_key ON teams (lower(name));

CREATE TABLE team_members (
    team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    agent_id uuid NOT NULL REFERENCES agents ON DELETE CASCADE,
    PRIMARY KEY (team_id, agent_id)
);
CREATE INDEX team_members_agent_id_idx ON team_members (agent_id);

ALTER TABLE agent_sessions
    DROP CONSTRAINT agent_sessions_revoked_reason_check,
    ADD CONSTRAINT agent_sessions_revoked_reason_check CHECK (revoked_reason IN (
        'signed_out', 'reused', 'password_changed', 'password_reset', 'role_changed', 'deactivated'
    ));

-- Who did what to whom. Each row's hash covers the row and the hash before it, so that a row changed
-- or taken out behind the triggers' back is found; ids have no gap. See kefu/audit/chain.py.
CREATE TABLE audit_log (
    id bigint PRIMARY KEY CHECK (id > 0),
    at timestamptz NOT NULL,
    by_type text NOT NULL CHECK (by_type IN ('agent', 'operator', 'system')),
    by_id uuid,
    by_name text NOT NULL CHECK (char_length(by_name) <= 100),
    action text NOT NULL CHECK (char_length(action) <= 64),
    subject_type text NOT NULL CHECK (char_length(subject_type) <= 64),
    subject_id text NOT NULL CHECK (char_length(subject_id) <= 200),
    before jsonb,
    after jsonb,
    address text CHECK (char_length(address) <= 64),
    previous_hash bytea NOT NULL CHECK (octet_length(previous_hash) = 32),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);

-- One row: the chain's end. Whoever appends holds it until the commit.
CREATE TABLE audit_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
INSERT INTO audit_head (id, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only appended to' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_head_stays BEFORE DELETE OR TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
