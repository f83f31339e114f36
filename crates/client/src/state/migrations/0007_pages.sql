-- A page of the manifest of a file that is too long for its content row to list its chunks. A memory aid: with the pages of the
-- version before an edit is sent without asking about every chunk, and a page that is missing costs no more than that.
CREATE TABLE page (
    hash BLOB NOT NULL PRIMARY KEY,
    bytes BLOB NOT NULL
);

-- Pages that came since those that no content needs were looked for.
ALTER TABLE meta ADD COLUMN pages_added INTEGER NOT NULL DEFAULT 0;

PRAGMA user_version = 7;
