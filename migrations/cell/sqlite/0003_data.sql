-- Where data lives, how long, and how it is erased.
ALTER TABLE accounts ADD COLUMN cost_centre TEXT;
-- The cell that keeps copies of the media, and the time up to which all media is copied.
ALTER TABLE accounts ADD COLUMN replicate_to TEXT;
ALTER TABLE accounts ADD COLUMN replicated_us BIGINT NOT NULL DEFAULT 0;
-- Set while rows may still follow an older media retention.
ALTER TABLE accounts ADD COLUMN retention_changed_us BIGINT;
-- The last log row that retention took, its hash, and how many calls went with it.
ALTER TABLE accounts ADD COLUMN log_floor_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN log_floor_hash TEXT NOT NULL DEFAULT '0000000000000000000000000000000000000000000000000000000000000000';
ALTER TABLE accounts ADD COLUMN log_floor_calls BIGINT NOT NULL DEFAULT 0;

-- The check value of the master key that wraps it.
ALTER TABLE data_keys ADD COLUMN wrapped_by TEXT NOT NULL DEFAULT '';

CREATE INDEX reservations_released ON reservations (made_us) WHERE state = 'released';
CREATE INDEX attempts_by_age ON attempts (last_us);

-- Background work that one node does at a time, and its last run.
CREATE TABLE data_jobs (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until_us BIGINT NOT NULL,
    began_us BIGINT NOT NULL,
    ended_us BIGINT,
    -- JSON: what the last run did.
    report TEXT
);

CREATE TABLE legal_holds (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    -- workspace, agent or subject.
    kind TEXT NOT NULL,
    -- Nothing, agent.NAME, or a subject's keyed hash.
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    placed_us BIGINT NOT NULL,
    lifted_by TEXT,
    lifted_us BIGINT
);
CREATE INDEX legal_holds_by_workspace ON legal_holds (workspace_id) WHERE lifted_us IS NULL;

CREATE TABLE replicas (
    generation_id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    -- The cell whose bucket holds the copy.
    cell TEXT NOT NULL,
    object_key TEXT NOT NULL,
    files BIGINT NOT NULL,
    copied_us BIGINT NOT NULL
);
CREATE INDEX replicas_by_workspace ON replicas (workspace_id, cell);

CREATE TABLE log_checkpoints (
    workspace_id TEXT NOT NULL,
    -- From 1, without gaps.
    number BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    head_hash TEXT NOT NULL,
    to_us BIGINT NOT NULL,
    -- The signed JSON.
    body TEXT NOT NULL,
    PRIMARY KEY (workspace_id, number)
);
CREATE INDEX log_checkpoints_by_time ON log_checkpoints (workspace_id, to_us);

CREATE TABLE data_requests (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    -- JSON without a clear name or prompt: hashes stand for both.
    criteria TEXT NOT NULL,
    -- Names, notes and reasons, sealed under the request's own key.
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    received_on TEXT NOT NULL,
    due_on TEXT NOT NULL,
    extended BIGINT NOT NULL,
    filed_by TEXT NOT NULL,
    -- The person behind a key.
    filed_person TEXT NOT NULL,
    filed_us BIGINT NOT NULL,
    decided_by TEXT,
    decided_us BIGINT,
    -- Whether two people stood behind it.
    four_eyes BIGINT NOT NULL,
    started_us BIGINT,
    ended_us BIGINT,
    prompts BIGINT NOT NULL,
    media BIGINT NOT NULL,
    log_rows BIGINT NOT NULL,
    -- JSON: what a run did so far.
    progress TEXT,
    -- The signed certificate.
    certificate TEXT,
    archive_until_us BIGINT
);
CREATE INDEX data_requests_by_time ON data_requests (workspace_id, filed_us, id);
CREATE INDEX data_requests_open ON data_requests (state) WHERE state IN ('approved', 'running');

-- The calls that a request that runs is about.
CREATE TABLE data_request_items (
    data_request_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    -- pending, done or held.
    state TEXT NOT NULL,
    PRIMARY KEY (data_request_id, request_id)
);
