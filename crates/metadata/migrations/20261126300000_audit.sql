-- The audit log. docs/data-model.md says in prose what each row means.

CREATE TABLE audit (
    account_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    entry_id BIGINT NOT NULL,
    event TEXT NOT NULL,
    device_id BIGINT,
    app_key TEXT,
    peer TEXT,
    PRIMARY KEY (account_id, at, entry_id)
);
