-- Scopes of tokens, links of apps, and what OAuth keeps. docs/data-model.md says in prose what each row means.
-- A NULL in an added column is what rows had before: every scope, a device.

ALTER TABLE token ADD COLUMN scopes BIGINT;

ALTER TABLE device ADD COLUMN kind INTEGER;

ALTER TABLE device ADD COLUMN app_key TEXT;

CREATE TABLE device_token (
    account_id BIGINT NOT NULL,
    device_id BIGINT NOT NULL,
    token_hash BYTEA NOT NULL,
    kind INTEGER NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (account_id, device_id, token_hash)
);

CREATE TABLE refresh_token (
    token_hash BYTEA NOT NULL,
    account_id BIGINT NOT NULL,
    device_id BIGINT NOT NULL,
    app_key TEXT NOT NULL,
    scopes BIGINT NOT NULL,
    needs_secret BOOLEAN NOT NULL,
    PRIMARY KEY (token_hash)
);

CREATE TABLE app (
    app_key TEXT NOT NULL,
    name TEXT NOT NULL,
    secret_hash BYTEA NOT NULL,
    redirect_uris TEXT NOT NULL,
    folder TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (app_key)
);

CREATE TABLE app_link (
    app_key TEXT NOT NULL,
    account_id BIGINT NOT NULL,
    device_id BIGINT NOT NULL,
    PRIMARY KEY (app_key, account_id, device_id)
);

CREATE TABLE auth_code (
    code_hash BYTEA NOT NULL,
    account_id BIGINT NOT NULL,
    app_key TEXT NOT NULL,
    scopes BIGINT NOT NULL,
    challenge TEXT,
    challenge_method INTEGER,
    redirect_uri TEXT,
    is_offline BOOLEAN NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (code_hash)
);

CREATE TABLE account_code (
    account_id BIGINT NOT NULL,
    code_hash BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, code_hash)
);
