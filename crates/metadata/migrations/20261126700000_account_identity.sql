-- The identities of an account, so that they can be taken back. docs/data-model.md says in prose what each row means.

CREATE TABLE account_identity (
    account_id BIGINT NOT NULL,
    identity_hash BYTEA NOT NULL,
    PRIMARY KEY (account_id, identity_hash)
);
