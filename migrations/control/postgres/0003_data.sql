-- Public keys stay after a rotation: what they signed must stay verifiable.
CREATE TABLE signing_keys (
    id TEXT PRIMARY KEY,
    public_key TEXT NOT NULL,
    created_us BIGINT NOT NULL
);
