-- A content's id is a hash of its manifest and size, so that the first bytes of the id are enough to find it and the rest
-- need not be kept: 24 bytes less for each file. Contents whose ids begin alike are rows of their own.
CREATE TABLE known_content (
    prefix BLOB NOT NULL,
    size INTEGER NOT NULL,
    manifest BLOB NOT NULL,
    content_hash BLOB NOT NULL,
    PRIMARY KEY (prefix, size, manifest)
) WITHOUT ROWID;
INSERT INTO known_content (prefix, size, manifest, content_hash)
SELECT substr(file_id, 1, 8), size, manifest, content_hash
FROM content
ORDER BY file_id;
DROP TABLE content;
ALTER TABLE known_content RENAME TO content;
DELETE FROM sqlite_stat1 WHERE tbl = 'content';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('content', 'content', '1000000 1 1 1');

-- How many pages the file had when it was last packed; 0 before the first time.
ALTER TABLE meta ADD COLUMN packed_pages INTEGER NOT NULL DEFAULT 0;

PRAGMA user_version = 6;
