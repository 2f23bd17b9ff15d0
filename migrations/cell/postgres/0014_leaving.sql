-- Set before a result's files go: from then on no hold catches it, and no copy of it is made.
ALTER TABLE generations ADD COLUMN leaving_us BIGINT;
-- Agents write names into idempotency keys. They are kept as salted hashes from now on; what stands in clear goes.
DELETE FROM idempotency_keys;
UPDATE reservations SET idempotency_key = NULL WHERE idempotency_key IS NOT NULL;
