-- What SQLite's planner is to believe of these tables, since nothing ever gathers it: nearly all rows have one `ns`, so a
-- search by it alone is a scan. Numbers: rows in all, then rows for one value of each longer prefix of the index.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('entry', 'entry', '1000000 1000000 1 1'),
    ('entry', 'entry_by_place', '1000000 1000000 50 1'),
    ('entry', 'entry_by_content', '1000000 1000000 1'),
    ('observed', 'observed', '1000000 1000000 1'),
    ('observed', 'observed_by_inode', '1000000 1000000 1'),
    ('observed', 'observed_by_disk_name', '1000 1000 1'),
    ('observed', 'observed_unsure', '1000 1000'),
    ('dirty', 'dirty', '100000 100000 1'),
    ('content', 'content', '1000000 1'),
    ('listing', 'listing', '1000000 1000000 1'),
    ('conflict', 'conflict', '1000 1000 1'),
    ('displaced', 'displaced', '10000 10000 1'),
    ('displaced', 'displaced_by_age', '10000 10000 1 1'),
    ('excluded', 'excluded', '100 100 1'),
    ('namespace', 'sqlite_autoindex_namespace_1', '4 1');
ANALYZE sqlite_schema;

PRAGMA user_version = 4;
