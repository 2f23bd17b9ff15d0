-- When an erasure took the key out of use: nodes hold it for a moment longer.
ALTER TABLE data_keys ADD COLUMN retired_us BIGINT;

-- Keys under which a call's prompt lay before and that still exist: with them an older backup can be read.
CREATE TABLE former_keys (
    request_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    PRIMARY KEY (request_id, key_id)
);
CREATE INDEX former_keys_by_key ON former_keys (key_id);
-- Of erasures that are on their way it is not known which of their keys was which call's.
INSERT INTO former_keys (request_id, key_id, workspace_id)
SELECT i.request_id, k.id, k.workspace_id FROM data_request_items i
JOIN data_keys k ON k.scope LIKE 'retired:' || i.data_request_id || ':%' WHERE i.state = 'done';

-- Keys that were destroyed because their subject was erased: a result that comes under one later goes too.
CREATE TABLE erased_keys (
    key_id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    -- The agent whose calls were erased; nothing where everybody's were.
    user_id TEXT,
    erased_us BIGINT NOT NULL
);
