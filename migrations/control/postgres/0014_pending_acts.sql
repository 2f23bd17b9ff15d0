-- Acts whose change of the directory is committed and whose entry in the workspace's log, which is in its cell, may not be yet.
CREATE TABLE pending_acts (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    entry TEXT NOT NULL,
    made_us BIGINT NOT NULL
);
