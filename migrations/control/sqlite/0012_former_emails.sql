-- The addresses that a person had before: what stands under them goes with the account too.
CREATE TABLE former_emails (
    user_id TEXT NOT NULL,
    email TEXT NOT NULL,
    PRIMARY KEY (user_id, email)
);
