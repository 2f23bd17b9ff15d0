-- The secret parts of MCP URLs that were replaced, while they still work: each has its own end.
CREATE TABLE former_url_keys (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    url_key TEXT NOT NULL,
    ends_us BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, url_key)
);
INSERT INTO former_url_keys (workspace_id, url_key, ends_us)
SELECT id, previous_url_key, previous_url_ends_us FROM workspaces
WHERE previous_url_key IS NOT NULL AND previous_url_ends_us IS NOT NULL;
-- The columns stay empty: backups that were taken before name them.
UPDATE workspaces SET previous_url_key = NULL, previous_url_ends_us = NULL WHERE previous_url_key IS NOT NULL;
