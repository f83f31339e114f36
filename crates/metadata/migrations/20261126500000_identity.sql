-- Who signs in by a provider of elsewhere. docs/data-model.md says in prose what each row means.

CREATE TABLE identity (
    identity_hash BYTEA NOT NULL,
    account_id BIGINT NOT NULL,
    PRIMARY KEY (identity_hash)
);
