-- Which logs are exported each day: there is a row while it is turned on.
CREATE TABLE log_exports (
    workspace_id TEXT PRIMARY KEY,
    -- The first moment of the day that comes next.
    next_us BIGINT NOT NULL,
    -- The last day that became a file.
    last_day TEXT,
    -- Why the last try failed.
    fault TEXT
);
