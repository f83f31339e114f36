-- Copies that conflicts left on this device: which node it is, of which node it is a copy, the version on which both sides
-- had agreed (NULL when they had not), when and why. A row without its copy means nothing and is dropped when it is met.
CREATE TABLE conflict (
    ns INTEGER NOT NULL,
    copy INTEGER NOT NULL,
    original INTEGER NOT NULL,
    base_seq INTEGER,
    base_file_id BLOB,
    base_size INTEGER,
    at_ms INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    PRIMARY KEY (ns, copy)
) WITHOUT ROWID;

-- Files that were replaced or removed and wait in the stage to be looked at a second time.
CREATE TABLE displaced (
    ns INTEGER NOT NULL,
    staged TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    size INTEGER NOT NULL,
    note BLOB NOT NULL,
    PRIMARY KEY (ns, staged)
) WITHOUT ROWID;
CREATE INDEX displaced_by_age ON displaced (ns, since_ms, staged);

PRAGMA user_version = 2;
