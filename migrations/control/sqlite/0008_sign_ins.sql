-- Who signed in from where, and wrong passwords for accounts that exist; kept 90 days. An address is personal data: rows
-- go with the account, and backups hold none.
CREATE TABLE sign_ins (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    address TEXT,
    outcome TEXT NOT NULL
);
CREATE INDEX sign_ins_by_user ON sign_ins (user_id, at_us);
CREATE INDEX sign_ins_by_time ON sign_ins (at_us);
