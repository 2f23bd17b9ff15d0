-- The roll-up by day: a year's chart reads hundreds of rows, not tens of thousands.
CREATE TABLE usage_days (
    workspace_id TEXT NOT NULL,
    day_us BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    model TEXT NOT NULL,
    calls BIGINT NOT NULL DEFAULT 0,
    cost BIGINT NOT NULL DEFAULT 0,
    images BIGINT NOT NULL DEFAULT 0,
    video_ms BIGINT NOT NULL DEFAULT 0,
    refused BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, day_us, user_id, tool, model)
);
INSERT INTO usage_days
SELECT workspace_id, hour_us / 86400000000 * 86400000000, user_id, tool, model,
    SUM(calls), SUM(cost), SUM(images), SUM(video_ms), SUM(refused), SUM(failed)
FROM usage_hours
GROUP BY workspace_id, hour_us / 86400000000 * 86400000000, user_id, tool, model;

-- The ledger's filters.
CREATE INDEX ledger_entries_by_actor ON ledger_entries (workspace_id, actor, seq);
CREATE INDEX ledger_entries_money_in ON ledger_entries (workspace_id, seq) WHERE kind <> 'charge';

-- On the first of a month the balance is brought up to this; the last month in which it was, or was not due yet.
ALTER TABLE accounts ADD COLUMN allowance BIGINT;
ALTER TABLE accounts ADD COLUMN allowance_month TEXT;
CREATE INDEX accounts_with_allowance ON accounts (allowance_month) WHERE allowance IS NOT NULL;
