-- Copies that were deleted because nobody wants them any more, since the log last told of it.
ALTER TABLE accounts ADD COLUMN copies_deleted BIGINT NOT NULL DEFAULT 0;
-- From now on replicas.copied_us is 0 while a copy is being made: its row stands before its files.
