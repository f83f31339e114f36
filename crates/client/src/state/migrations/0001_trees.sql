-- What a device remembers. All of it can be built anew from the server and the disk, except intents and the commit in
-- flight, which only make that cheaper and surer.

-- Rows elsewhere name a namespace by its number here. Counts are those of the rows below, kept in the same transaction.
CREATE TABLE namespace (
    number INTEGER PRIMARY KEY,
    ns_id INTEGER NOT NULL UNIQUE,
    incarnation BLOB,
    seq INTEGER,
    chain BLOB,
    listing_incarnation BLOB,
    listing_seq INTEGER,
    listing_chain BLOB,
    seen INTEGER NOT NULL DEFAULT 0,
    local_nodes INTEGER NOT NULL DEFAULT 0,
    remote_nodes INTEGER NOT NULL DEFAULT 0,
    dirty_nodes INTEGER NOT NULL DEFAULT 0
);

-- The three trees. `trees` says in which of them the node stands exactly so: 1 remote, 2 local, 4 synced. A node in sync
-- is one row. The counters do not count for the local tree, which has none. `folded` is the name's key where it is not
-- the name itself. `kind`: 0 folder, 1 file, 2 link.
CREATE TABLE entry (
    ns INTEGER NOT NULL,
    node INTEGER NOT NULL,
    trees INTEGER NOT NULL,
    parent INTEGER NOT NULL,
    name TEXT NOT NULL,
    folded TEXT,
    kind INTEGER NOT NULL,
    file_id BLOB,
    size INTEGER NOT NULL,
    target TEXT,
    mtime_s INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    exec INTEGER NOT NULL,
    place_seq INTEGER NOT NULL,
    content_seq INTEGER NOT NULL,
    PRIMARY KEY (ns, node, trees)
) WITHOUT ROWID;
CREATE INDEX entry_by_place ON entry (ns, parent, coalesce(folded, name));
CREATE INDEX entry_by_content ON entry (ns, substr(file_id, 1, 8)) WHERE file_id IS NOT NULL;

-- What only this device knows of a node of the local tree. `size` and `mtime` are NULL where they are those of the entry.
CREATE TABLE observed (
    ns INTEGER NOT NULL,
    node INTEGER NOT NULL,
    disk_name TEXT,
    inode INTEGER NOT NULL,
    born_s INTEGER,
    born_ns INTEGER,
    size INTEGER,
    mtime_s INTEGER,
    mtime_ns INTEGER,
    ctime_s INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    unsure INTEGER NOT NULL,
    PRIMARY KEY (ns, node)
) WITHOUT ROWID;
CREATE INDEX observed_by_inode ON observed (ns, inode);
CREATE INDEX observed_by_disk_name ON observed (ns, disk_name) WHERE disk_name IS NOT NULL;
CREATE INDEX observed_unsure ON observed (ns) WHERE unsure;

-- The nodes of which the three trees do not say the same; never another.
CREATE TABLE dirty (
    ns INTEGER NOT NULL,
    node INTEGER NOT NULL,
    PRIMARY KEY (ns, node)
) WITHOUT ROWID;

-- Contents by file id, whichever nodes have them.
CREATE TABLE content (
    file_id BLOB NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL,
    manifest BLOB NOT NULL,
    content_hash BLOB NOT NULL
) WITHOUT ROWID;

-- A listing of the remote tree that is not complete yet.
CREATE TABLE listing (
    ns INTEGER NOT NULL,
    node INTEGER NOT NULL,
    parent INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,
    file_id BLOB,
    size INTEGER NOT NULL,
    target TEXT,
    mtime_s INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    exec INTEGER NOT NULL,
    place_seq INTEGER NOT NULL,
    content_seq INTEGER NOT NULL,
    PRIMARY KEY (ns, node)
) WITHOUT ROWID;

-- The commit that was sent and not yet answered.
CREATE TABLE in_flight (
    ns INTEGER NOT NULL PRIMARY KEY,
    op_id BLOB NOT NULL,
    request BLOB NOT NULL
);

-- What the applier was about to do.
CREATE TABLE intent (
    ns INTEGER NOT NULL,
    staged TEXT NOT NULL,
    node INTEGER NOT NULL,
    step BLOB NOT NULL,
    PRIMARY KEY (ns, staged)
) WITHOUT ROWID;

CREATE TABLE setting (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The newest notes of what happened, for people.
CREATE TABLE activity (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    what TEXT NOT NULL,
    path TEXT NOT NULL
);

-- One row: whether the last to use the file closed it, which Unicode tables its name keys were made by, and how many
-- contents came since those without a node were last dropped.
CREATE TABLE meta (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    is_closed INTEGER NOT NULL,
    unicode TEXT NOT NULL,
    contents_added INTEGER NOT NULL
);

PRAGMA user_version = 1;
