-- Without the workspace, whose salt is in the hash: only this index is then a way to a prompt's entries.
DROP INDEX log_entries_by_prompt;
CREATE INDEX log_entries_by_prompt ON log_entries (prompt_hash, seq, kind);
