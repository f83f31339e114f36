-- Folders of the server that this device does not keep, and the path that each was known by when that was said. In `entry`
-- the bit 8 of `trees`, beside 1, says that the node is such a folder or lies in one on the server.
CREATE TABLE excluded (
    ns INTEGER NOT NULL,
    node INTEGER NOT NULL,
    path TEXT NOT NULL,
    PRIMARY KEY (ns, node)
) WITHOUT ROWID;

PRAGMA user_version = 3;
