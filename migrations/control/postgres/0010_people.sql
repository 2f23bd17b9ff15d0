-- Which mails a person wants, and a new address that waits until its link is followed.
ALTER TABLE users ADD COLUMN mail_alerts BIGINT NOT NULL DEFAULT 1;
ALTER TABLE users ADD COLUMN mail_digest BIGINT NOT NULL DEFAULT 1;

CREATE TABLE email_changes (
    user_id TEXT PRIMARY KEY,
    token_hash TEXT NOT NULL,
    email TEXT NOT NULL,
    expires_us BIGINT NOT NULL
);
