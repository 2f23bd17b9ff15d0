-- Counts an Admin's changes: a courier keeps nothing that was found out under settings that no longer hold, and of two
-- Admins who change an endpoint at the same time the second is told.
ALTER TABLE webhook_endpoints ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
-- The last log row of a request that failed: it is sent again with the same events, though more wait by then.
ALTER TABLE webhook_endpoints ADD COLUMN retry_to_seq BIGINT;

-- Also counts the outcomes of a day without a look at the rows.
DROP INDEX webhook_deliveries_by_endpoint;
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint_id, at_us, id, outcome);
