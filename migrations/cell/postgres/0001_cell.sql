-- Everything of a workspace: money, log, agents, prompts, generations (design §5).
CREATE TABLE accounts (
    workspace_id TEXT PRIMARY KEY,
    available BIGINT NOT NULL CHECK (available >= 0),
    reserved BIGINT NOT NULL CHECK (reserved >= 0),
    suspended BIGINT NOT NULL DEFAULT 0,
    -- The caps' JSON of contract §3.
    caps TEXT NOT NULL,
    region TEXT NOT NULL,
    inference TEXT NOT NULL,
    media_retention_days BIGINT NOT NULL,
    log_retention_days BIGINT NOT NULL,
    -- Random; enters each prompt's hash.
    salt BYTEA NOT NULL,
    -- The log's end.
    log_seq BIGINT NOT NULL DEFAULT 0,
    log_head TEXT NOT NULL,
    log_ts_us BIGINT NOT NULL DEFAULT 0,
    created_us BIGINT NOT NULL
);

CREATE TABLE tallies (
    -- workspace/agent/period; the agent is empty for the whole workspace.
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    period TEXT NOT NULL,
    spent BIGINT NOT NULL CHECK (spent >= 0),
    reserved BIGINT NOT NULL CHECK (reserved >= 0)
);
CREATE INDEX tallies_by_workspace ON tallies (workspace_id, period);

CREATE TABLE reservations (
    request_id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount >= 0),
    -- held, settled or released.
    state TEXT NOT NULL,
    idempotency_key TEXT,
    made_us BIGINT NOT NULL,
    deadline_us BIGINT NOT NULL,
    ended_us BIGINT
);
CREATE INDEX reservations_open ON reservations (deadline_us) WHERE state = 'held';
CREATE INDEX reservations_by_workspace ON reservations (workspace_id) WHERE state = 'held';

CREATE TABLE idempotency_keys (
    -- workspace/key.
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    arguments TEXT NOT NULL,
    request_id TEXT NOT NULL,
    used_us BIGINT NOT NULL,
    answer TEXT
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (used_us);

CREATE TABLE ledger_entries (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    -- The place of its log entry: the order in which the balance moved.
    seq BIGINT NOT NULL,
    -- top_up or charge.
    kind TEXT NOT NULL,
    -- Signed: money in is above zero.
    amount BIGINT NOT NULL,
    balance_after BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    reference TEXT,
    ts_us BIGINT NOT NULL
);
CREATE UNIQUE INDEX ledger_entries_in_order ON ledger_entries (workspace_id, seq);
CREATE INDEX ledger_entries_by_time ON ledger_entries (workspace_id, ts_us);
CREATE UNIQUE INDEX ledger_entries_once ON ledger_entries (request_id, kind);

CREATE TABLE log_entries (
    workspace_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    ts_us BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    tool TEXT,
    model TEXT,
    prompt_hash TEXT,
    cost BIGINT NOT NULL,
    balance_after BIGINT,
    result_url TEXT,
    region TEXT NOT NULL,
    retention_days BIGINT NOT NULL,
    event TEXT,
    data TEXT,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (workspace_id, seq)
);
CREATE INDEX log_entries_by_request ON log_entries (workspace_id, request_id);
CREATE INDEX log_entries_by_time ON log_entries (workspace_id, ts_us);
CREATE INDEX log_entries_by_user ON log_entries (workspace_id, user_id, seq);
CREATE INDEX log_entries_by_tool ON log_entries (workspace_id, tool, seq);
CREATE INDEX log_entries_by_model ON log_entries (workspace_id, model, seq);
CREATE INDEX log_entries_by_prompt ON log_entries (workspace_id, prompt_hash, seq);
CREATE INDEX log_entries_by_cost ON log_entries (workspace_id, cost, seq);
CREATE INDEX log_entries_by_event ON log_entries (workspace_id, event, seq) WHERE event IS NOT NULL;

CREATE TABLE usage_hours (
    workspace_id TEXT NOT NULL,
    hour_us BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    model TEXT NOT NULL,
    calls BIGINT NOT NULL DEFAULT 0,
    cost BIGINT NOT NULL DEFAULT 0,
    images BIGINT NOT NULL DEFAULT 0,
    video_ms BIGINT NOT NULL DEFAULT 0,
    refused BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, hour_us, user_id, tool, model)
);

CREATE TABLE attempts (
    -- Repeats within a minute are one row: workspace/agent/tool/code/prompt/minute.
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    model TEXT,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    prompt_hash TEXT,
    request_id TEXT NOT NULL,
    failed BIGINT NOT NULL,
    first_us BIGINT NOT NULL,
    last_us BIGINT NOT NULL,
    repeats BIGINT NOT NULL
);
CREATE INDEX attempts_by_time ON attempts (workspace_id, last_us, id);
CREATE INDEX attempts_by_request ON attempts (workspace_id, request_id);

CREATE TABLE generations (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    model TEXT NOT NULL,
    cost BIGINT NOT NULL,
    -- Of the first file; file n > 1 is called NAME-n.EXT.
    object_key TEXT NOT NULL,
    files BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    duration_s BIGINT,
    -- Delivered after its reservation had been given back: kept, not charged.
    late BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    deleted_us BIGINT
);
CREATE INDEX generations_by_time ON generations (workspace_id, created_us, id);
CREATE INDEX generations_by_user ON generations (workspace_id, user_id, created_us);
CREATE UNIQUE INDEX generations_by_request ON generations (request_id);
CREATE INDEX generations_by_end ON generations (expires_us) WHERE deleted_us IS NULL;

CREATE TABLE data_keys (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    -- A subject's hash, or a day.
    scope TEXT NOT NULL,
    wrapped BYTEA NOT NULL,
    created_us BIGINT NOT NULL
);
CREATE UNIQUE INDEX data_keys_by_scope ON data_keys (workspace_id, scope);

CREATE TABLE prompts (
    request_id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL
);
CREATE INDEX prompts_by_end ON prompts (expires_us);
CREATE INDEX prompts_by_key ON prompts (key_id);

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    policy TEXT NOT NULL,
    -- active, paused or revoked.
    state TEXT NOT NULL,
    paused_reason TEXT,
    created_by TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    last_used_us BIGINT,
    preflight_us BIGINT
);
CREATE UNIQUE INDEX agents_by_name ON agents (workspace_id, name);

CREATE TABLE agent_tokens (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents (id),
    workspace_id TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    last4 TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    -- When it is due; calls work for the grace after it.
    expires_us BIGINT NOT NULL,
    -- When a rotation or revocation ends it.
    ends_us BIGINT
);
CREATE INDEX agent_tokens_by_agent ON agent_tokens (agent_id);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    last4 TEXT NOT NULL,
    made_by TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT,
    ended_us BIGINT,
    last_used_us BIGINT
);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id);

-- Facts about the cell itself, such as the check value of its master key.
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE changes (id BIGINT PRIMARY KEY, number BIGINT NOT NULL);
INSERT INTO changes (id, number) VALUES (1, 0);
