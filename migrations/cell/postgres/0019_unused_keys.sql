-- Since when a data key that seals nothing any more is out of use. It is destroyed once every node has heard of that.
ALTER TABLE data_keys ADD COLUMN unused_us BIGINT;
CREATE INDEX data_keys_unused ON data_keys (id) WHERE unused_us IS NOT NULL;
