-- The MCP URL's secret part before a rotation, while it still works.
ALTER TABLE workspaces ADD COLUMN previous_url_key TEXT;
ALTER TABLE workspaces ADD COLUMN previous_url_ends_us BIGINT;
