-- Since when a workspace is being deleted, which nothing undoes: no hold is placed from then on. And since when all is gone.
ALTER TABLE accounts ADD COLUMN deleting_us BIGINT;
ALTER TABLE accounts ADD COLUMN gone_us BIGINT;
-- JSON: the ids of those who were Admins when the request was filed.
ALTER TABLE data_requests ADD COLUMN admins TEXT NOT NULL DEFAULT '[]';
-- Set while an export is turned off: its files stay as long as the log.
ALTER TABLE log_exports ADD COLUMN ended_us BIGINT;
