CREATE TABLE alert_settings (
    workspace_id TEXT PRIMARY KEY,
    -- JSON: thresholds, recipients, the loop breaker's limits.
    settings TEXT NOT NULL,
    -- The Slack webhook's URL, sealed: whoever has it can post.
    key_id TEXT,
    slack BLOB
);

-- Each alert once for its key, which names its period.
CREATE TABLE alerts (
    workspace_id TEXT NOT NULL,
    key TEXT NOT NULL,
    event TEXT NOT NULL,
    message TEXT NOT NULL,
    fired_us BIGINT NOT NULL,
    -- When it was told, by which ways, and which failed.
    told_us BIGINT,
    channels TEXT,
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX alerts_by_time ON alerts (workspace_id, fired_us);
CREATE INDEX alerts_untold ON alerts (fired_us) WHERE told_us IS NULL;

-- Up to where each workspace was looked at.
CREATE TABLE alert_watch (
    workspace_id TEXT PRIMARY KEY,
    seen_seq BIGINT NOT NULL,
    looked_us BIGINT NOT NULL,
    -- The last month whose digest was sent.
    digest TEXT
);

CREATE INDEX attempts_by_user ON attempts (workspace_id, user_id, last_us);

-- Calls that began after the one counted before them was answered: a loop, not a burst.
ALTER TABLE attempts ADD COLUMN series BIGINT NOT NULL DEFAULT 1;
ALTER TABLE attempts ADD COLUMN began_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN counted_us BIGINT NOT NULL DEFAULT 0;
