-- Where the journal stood when it was read to its end. A server that was restored from a backup shares its history up to one of
-- these with the device: what it has as of then is no other version than the device's, but an older one.
CREATE TABLE waypoint (
    ns INTEGER NOT NULL,
    -- Counts from 1; tells which go first.
    number INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    chain BLOB NOT NULL,
    PRIMARY KEY (ns, number)
) WITHOUT ROWID;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('waypoint', 'waypoint', '200 200 1');

PRAGMA user_version = 8;
