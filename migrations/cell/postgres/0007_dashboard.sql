-- Models that an Admin forbids in the workspace: a JSON list of their ids.
ALTER TABLE accounts ADD COLUMN forbidden_models TEXT NOT NULL DEFAULT '[]';
-- What was said to the starting checklist: {"dismissed": bool, "retention_kept": bool}.
ALTER TABLE accounts ADD COLUMN checklist TEXT NOT NULL DEFAULT '{}';
