-- Where the journal stood after each commit of this device that has not been met again in reading the journal. Only these
-- tell a server that was restored to a moment before such a commit and after the cursor.
CREATE TABLE checkpoint (
    ns INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    chain BLOB NOT NULL,
    PRIMARY KEY (ns, seq)
) WITHOUT ROWID;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('checkpoint', 'checkpoint', '1000 1000 1');

PRAGMA user_version = 5;
