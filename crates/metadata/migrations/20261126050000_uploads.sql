-- Contents that come in several requests. docs/data-model.md says in prose what each row means.

CREATE TABLE upload (
    account_id BIGINT NOT NULL,
    upload_id BYTEA NOT NULL,
    concurrent BOOLEAN NOT NULL,
    size BIGINT NOT NULL,
    total BIGINT,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, upload_id)
);

CREATE TABLE upload_piece (
    account_id BIGINT NOT NULL,
    upload_id BYTEA NOT NULL,
    start BIGINT NOT NULL,
    size BIGINT NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (account_id, upload_id, start)
);
