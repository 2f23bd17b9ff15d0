-- People and the directory workspace → cell. No prompts, media, spend or audit (design §2).
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    last_seen_us BIGINT
);

CREATE TABLE sessions (
    id_hash TEXT PRIMARY KEY,
    data TEXT NOT NULL,
    user_id TEXT,
    address TEXT,
    user_agent TEXT,
    created_us BIGINT NOT NULL,
    last_seen_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_us);

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    region TEXT NOT NULL,
    cell TEXT NOT NULL,
    url_key TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    deleted_us BIGINT
);
-- One person cannot have two workspaces of one name.
CREATE UNIQUE INDEX workspaces_by_name ON workspaces (created_by, LOWER(name)) WHERE deleted_us IS NULL;

CREATE TABLE memberships (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX memberships_by_user ON memberships (user_id);

CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    invited_by TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    accepted_us BIGINT
);
CREATE INDEX invitations_by_workspace ON invitations (workspace_id);

-- The one-time link of the first start.
CREATE TABLE setup_tokens (
    token_hash TEXT PRIMARY KEY,
    expires_us BIGINT NOT NULL,
    used_us BIGINT
);

-- Every node watches this number; whoever changes what nodes cache raises it.
CREATE TABLE changes (id BIGINT PRIMARY KEY, number BIGINT NOT NULL);
INSERT INTO changes (id, number) VALUES (1, 0);
