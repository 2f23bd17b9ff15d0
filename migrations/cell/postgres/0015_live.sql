-- What is still there, without a walk over everything that has gone: for the reconciler, replication, and changed retentions.
CREATE INDEX generations_live ON generations (workspace_id, created_us, id) WHERE deleted_us IS NULL;
-- In the purger's order.
CREATE INDEX generations_due ON generations (expires_us, id) WHERE deleted_us IS NULL;
DROP INDEX generations_by_end;
