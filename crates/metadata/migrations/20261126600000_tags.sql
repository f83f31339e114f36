-- Tags of files and folders. docs/data-model.md says in prose what each row means.

CREATE TABLE tag (
    ns_id BIGINT NOT NULL,
    node_id BIGINT NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (ns_id, node_id, tag)
);
