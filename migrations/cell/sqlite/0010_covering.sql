-- A prompt's entries by kind: a search that demands a prompt and, say, an agent looks at no others.
DROP INDEX log_entries_by_prompt;
CREATE INDEX log_entries_by_prompt ON log_entries (prompt_hash, kind, seq);
-- With what no kind can tell, so that a search that excludes prompts or parts a kind by cost reads the index alone.
DROP INDEX log_entries_by_kind;
CREATE INDEX log_entries_by_kind ON log_entries (kind, seq, cost, prompt_hash);
