-- The first schema. docs/data-model.md says in prose what each row means.
-- Portable to PostgreSQL: every key starts with the distribution column; no triggers, sequences or computed defaults.

CREATE TABLE namespace (
    ns_id BIGINT NOT NULL,
    owner_id BIGINT NOT NULL,
    format INTEGER NOT NULL,
    incarnation BYTEA NOT NULL,
    head_seq BIGINT NOT NULL,
    chain BYTEA NOT NULL,
    last_at BIGINT NOT NULL,
    journal_floor BIGINT NOT NULL,
    fence_epoch BIGINT NOT NULL,
    bytes_used BIGINT NOT NULL,
    bytes_granted BIGINT,
    PRIMARY KEY (ns_id)
);

CREATE TABLE node (
    ns_id BIGINT NOT NULL,
    node_id BIGINT NOT NULL,
    parent_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    kind INTEGER NOT NULL,
    size BIGINT NOT NULL,
    content BYTEA NOT NULL,
    mtime_s BIGINT NOT NULL,
    mtime_ns INTEGER NOT NULL,
    executable BOOLEAN NOT NULL,
    place_seq BIGINT NOT NULL,
    content_seq BIGINT NOT NULL,
    attributes_seq BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    PRIMARY KEY (ns_id, node_id)
);

CREATE UNIQUE INDEX node_children ON node (ns_id, parent_id, key);

CREATE TABLE place_history (
    ns_id BIGINT NOT NULL,
    node_id BIGINT NOT NULL,
    seq_from BIGINT NOT NULL,
    seq_to BIGINT NOT NULL,
    parent_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (ns_id, node_id, seq_from)
);

CREATE INDEX place_history_children ON place_history (ns_id, parent_id, key, seq_to);

CREATE TABLE content_history (
    ns_id BIGINT NOT NULL,
    node_id BIGINT NOT NULL,
    seq_from BIGINT NOT NULL,
    seq_to BIGINT NOT NULL,
    kind INTEGER NOT NULL,
    size BIGINT NOT NULL,
    content BYTEA NOT NULL,
    mtime_s BIGINT NOT NULL,
    mtime_ns INTEGER NOT NULL,
    executable BOOLEAN NOT NULL,
    attributes_seq BIGINT NOT NULL,
    PRIMARY KEY (ns_id, node_id, seq_from)
);

CREATE TABLE journal (
    ns_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    group_last BIGINT NOT NULL,
    node_id BIGINT NOT NULL,
    change INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    before_parent_id BIGINT,
    before_name TEXT,
    after_parent_id BIGINT,
    after_name TEXT,
    content_id BYTEA,
    mtime_s BIGINT NOT NULL,
    mtime_ns INTEGER NOT NULL,
    executable BOOLEAN NOT NULL,
    bytes_delta BIGINT NOT NULL,
    device_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    chain BYTEA NOT NULL,
    PRIMARY KEY (ns_id, seq)
);

CREATE TABLE op_dedup (
    ns_id BIGINT NOT NULL,
    device_id BIGINT NOT NULL,
    op_id BYTEA NOT NULL,
    request_hash BYTEA NOT NULL,
    result BYTEA NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (ns_id, device_id, op_id)
);

CREATE INDEX op_dedup_at ON op_dedup (ns_id, at);

CREATE TABLE chunk_ref (
    ns_id BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    last_seq BIGINT NOT NULL,
    PRIMARY KEY (ns_id, hash)
);

CREATE TABLE grant_ (
    ns_id BIGINT NOT NULL,
    account_id BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    lease BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (ns_id, account_id, hash)
);

CREATE INDEX grant_expiry ON grant_ (ns_id, expires_at);

CREATE TABLE hot_blob (
    ns_id BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (ns_id, hash)
);

CREATE TABLE mount_ (
    ns_id BIGINT NOT NULL,
    node_id BIGINT NOT NULL,
    target_ns_id BIGINT NOT NULL,
    PRIMARY KEY (ns_id, node_id)
);

CREATE TABLE member (
    ns_id BIGINT NOT NULL,
    account_id BIGINT NOT NULL,
    role INTEGER NOT NULL,
    PRIMARY KEY (ns_id, account_id)
);

CREATE TABLE snapshot (
    ns_id BIGINT NOT NULL,
    snapshot_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    label TEXT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (ns_id, snapshot_id)
);

CREATE TABLE device_cursor (
    ns_id BIGINT NOT NULL,
    device_id BIGINT NOT NULL,
    incarnation BYTEA NOT NULL,
    acked_seq BIGINT NOT NULL,
    PRIMARY KEY (ns_id, device_id)
);

CREATE TABLE unverified (
    ns_id BIGINT NOT NULL,
    content_seq BIGINT NOT NULL,
    node_id BIGINT NOT NULL,
    PRIMARY KEY (ns_id, content_seq)
);

CREATE TABLE account (
    account_id BIGINT NOT NULL,
    email TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    root_ns_id BIGINT NOT NULL,
    is_admin BOOLEAN NOT NULL,
    is_disabled BOOLEAN NOT NULL,
    quota_bytes BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id)
);

CREATE TABLE account_namespace (
    account_id BIGINT NOT NULL,
    ns_id BIGINT NOT NULL,
    role INTEGER NOT NULL,
    PRIMARY KEY (account_id, ns_id),
    FOREIGN KEY (account_id) REFERENCES account (account_id)
);

CREATE TABLE device (
    account_id BIGINT NOT NULL,
    device_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    token_hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, device_id),
    FOREIGN KEY (account_id) REFERENCES account (account_id)
);

CREATE TABLE account_email (
    email TEXT NOT NULL,
    account_id BIGINT NOT NULL,
    PRIMARY KEY (email)
);

CREATE TABLE token (
    token_hash BYTEA NOT NULL,
    account_id BIGINT NOT NULL,
    device_id BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (token_hash)
);
