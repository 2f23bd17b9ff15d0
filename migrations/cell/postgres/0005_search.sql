-- What log entries have in common: actor, tool, model, event and cost. There are few kinds for many entries, so a search
-- first finds the kinds that match and then looks only at their entries, whatever it combines or excludes.
CREATE TABLE log_kinds (
    workspace_id TEXT NOT NULL,
    -- Made from the workspace and what follows, so unique in itself; below zero for entries that are older than this table.
    id BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    -- Empty where there is none; so are the next two.
    tool TEXT NOT NULL,
    model TEXT NOT NULL,
    event TEXT NOT NULL,
    -- One cost, or a range of them where costs have many digits.
    cost_least BIGINT NOT NULL,
    cost_most BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
INSERT INTO log_kinds (workspace_id, id, user_id, tool, model, event, cost_least, cost_most)
SELECT workspace_id, -ROW_NUMBER() OVER (ORDER BY workspace_id), user_id, tool, model, event, cost, cost
FROM (SELECT DISTINCT workspace_id, user_id, COALESCE(tool, '') AS tool, COALESCE(model, '') AS model,
      COALESCE(event, '') AS event, cost FROM log_entries) AS found;
CREATE INDEX log_kinds_found ON log_kinds (workspace_id, user_id, tool, model, event, cost_least);
ALTER TABLE log_entries ADD COLUMN kind BIGINT NOT NULL DEFAULT 0;
UPDATE log_entries SET kind = (SELECT k.id FROM log_kinds k WHERE k.workspace_id = log_entries.workspace_id
    AND k.user_id = log_entries.user_id AND k.tool = COALESCE(log_entries.tool, '')
    AND k.model = COALESCE(log_entries.model, '') AND k.event = COALESCE(log_entries.event, '')
    AND k.cost_least = log_entries.cost);
DROP INDEX log_kinds_found;

-- Without the workspace, which a kind tells: neither planner can then prefer the primary key and walk the log.
CREATE INDEX log_entries_by_kind ON log_entries (kind, seq);
DROP INDEX log_entries_by_user;
DROP INDEX log_entries_by_tool;
DROP INDEX log_entries_by_model;
DROP INDEX log_entries_by_cost;
DROP INDEX log_entries_by_event;
-- With what a search still has to compare, so that it reads the index alone.
DROP INDEX log_entries_by_prompt;
CREATE INDEX log_entries_by_prompt ON log_entries (workspace_id, prompt_hash, seq, kind);
DROP INDEX log_entries_by_time;
CREATE INDEX log_entries_by_time ON log_entries (workspace_id, ts_us, seq);

CREATE INDEX attempts_by_code ON attempts (workspace_id, code, last_us, id);
CREATE INDEX attempts_by_prompt ON attempts (workspace_id, prompt_hash, last_us, id);

CREATE TABLE saved_searches (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- calls, admin or refused.
    tab TEXT NOT NULL,
    query TEXT NOT NULL,
    -- Who made it.
    owner TEXT NOT NULL,
    -- Whether everybody in the workspace sees it.
    shared BIGINT NOT NULL,
    created_us BIGINT NOT NULL
);
CREATE INDEX saved_searches_by_workspace ON saved_searches (workspace_id, name);

-- The last verification of each log, as the page shows it.
CREATE TABLE log_verifications (
    workspace_id TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    started_by TEXT NOT NULL,
    began_us BIGINT NOT NULL,
    -- Moves while it runs; a run whose node died stands still.
    seen_us BIGINT NOT NULL,
    ended_us BIGINT,
    first_seq BIGINT NOT NULL,
    done_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    checkpoints BIGINT NOT NULL,
    -- The first bad row's place, and what is wrong.
    bad_seq BIGINT,
    fault TEXT
);
