-- Invitations and password resets. docs/data-model.md says in prose what each row means.

CREATE TABLE one_time_link (
    link_hash BYTEA NOT NULL,
    kind INTEGER NOT NULL,
    account_id BIGINT,
    email TEXT,
    quota_bytes BIGINT,
    password_digest BYTEA,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (link_hash)
);
