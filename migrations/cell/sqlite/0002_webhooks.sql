-- Endpoints are cursors over the log: nothing is copied to an outbox, nothing is lost while one is down.
CREATE TABLE webhook_endpoints (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    url TEXT NOT NULL,
    -- generic, datadog or splunk_hec.
    format TEXT NOT NULL,
    -- JSON list of event names; empty for all.
    events TEXT NOT NULL,
    -- Secrets, token and headers as JSON, sealed.
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    -- When the secret before a rotation stops signing.
    old_secret_ends_us BIGINT,
    -- active, paused or disabled.
    state TEXT NOT NULL,
    reason TEXT,
    -- The last log row that is settled.
    cursor_seq BIGINT NOT NULL,
    failures BIGINT NOT NULL DEFAULT 0,
    failing_since_us BIGINT,
    refused BIGINT NOT NULL DEFAULT 0,
    batch BIGINT NOT NULL,
    next_us BIGINT NOT NULL DEFAULT 0,
    delivered_us BIGINT,
    -- The node that delivers now, until when.
    claimed_by TEXT,
    claimed_until_us BIGINT NOT NULL DEFAULT 0,
    created_by TEXT NOT NULL,
    created_us BIGINT NOT NULL
);
CREATE INDEX webhook_endpoints_by_workspace ON webhook_endpoints (workspace_id);
CREATE INDEX webhook_endpoints_due ON webhook_endpoints (next_us) WHERE state = 'active';

-- Each request that was sent; kept 30 days.
CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    -- live, replay or test.
    lane TEXT NOT NULL,
    event TEXT NOT NULL,
    event_id TEXT NOT NULL,
    from_seq BIGINT NOT NULL,
    to_seq BIGINT NOT NULL,
    events BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    -- delivered, retried, parked, split, paused or disabled.
    outcome TEXT NOT NULL,
    status BIGINT,
    fault TEXT,
    request TEXT NOT NULL,
    response TEXT NOT NULL,
    duration_us BIGINT NOT NULL,
    at_us BIGINT NOT NULL
);
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint_id, at_us, id);
CREATE INDEX webhook_deliveries_by_place ON webhook_deliveries (workspace_id, from_seq);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (at_us);

-- Events that a receiver refused for their content, until they are replayed.
CREATE TABLE webhook_parked (
    endpoint_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    workspace_id TEXT NOT NULL,
    event TEXT NOT NULL,
    event_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    PRIMARY KEY (endpoint_id, seq)
);

-- Ranges of the log to be delivered once more, beside the cursor.
CREATE TABLE webhook_replays (
    id TEXT PRIMARY KEY,
    endpoint_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    -- The last row that is settled, and the last of the range.
    cursor_seq BIGINT NOT NULL,
    to_seq BIGINT NOT NULL,
    made_us BIGINT NOT NULL
);
CREATE INDEX webhook_replays_by_endpoint ON webhook_replays (endpoint_id, made_us, id);
