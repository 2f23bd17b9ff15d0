-- Who accepted which text before reading the SOC 2 report. The text is kept as it stood.
CREATE TABLE nda_acceptances (
    workspace_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    text_sha256 TEXT NOT NULL,
    text TEXT NOT NULL,
    accepted_us BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, user_id, text_sha256)
);

-- Why a hold was lifted.
ALTER TABLE legal_holds ADD COLUMN lift_reason TEXT;
