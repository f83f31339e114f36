-- The second factor of accounts. docs/data-model.md says in prose what each row means.

CREATE TABLE second_factor (
    account_id BIGINT NOT NULL,
    secret BYTEA NOT NULL,
    is_active BOOLEAN NOT NULL,
    last_step BIGINT NOT NULL,
    PRIMARY KEY (account_id)
);

CREATE TABLE recovery_code (
    account_id BIGINT NOT NULL,
    code_hash BYTEA NOT NULL,
    PRIMARY KEY (account_id, code_hash)
);
