//! Reads every SQL statement of the crate and holds it against the rules that SQLite, PostgreSQL and Citus share.
//!
//! A statement is a string literal in `src/sqlite/` that starts with SELECT, INSERT, UPDATE, DELETE or WITH, whole:
//! `statement.rs` puts nothing but placeholders into it. A statement that must look at every shard says so in a comment
//! `/* every shard: why */`.

use std::path::Path;

/// Tables with the column that they are distributed by.
const TABLES: [(&str, &str); 35] = [
    ("namespace", "ns_id"),
    ("node", "ns_id"),
    ("place_history", "ns_id"),
    ("content_history", "ns_id"),
    ("journal", "ns_id"),
    ("op_dedup", "ns_id"),
    ("chunk_ref", "ns_id"),
    ("grant_", "ns_id"),
    ("hot_blob", "ns_id"),
    ("mount_", "ns_id"),
    ("member", "ns_id"),
    ("snapshot", "ns_id"),
    ("device_cursor", "ns_id"),
    ("unverified", "ns_id"),
    ("tag", "ns_id"),
    ("account", "account_id"),
    ("account_namespace", "account_id"),
    ("device", "account_id"),
    ("device_token", "account_id"),
    ("account_code", "account_id"),
    ("one_time_link", "link_hash"),
    ("audit", "account_id"),
    ("second_factor", "account_id"),
    ("recovery_code", "account_id"),
    ("app", "app_key"),
    ("app_link", "app_key"),
    ("auth_code", "code_hash"),
    ("refresh_token", "token_hash"),
    ("account_email", "email"),
    ("account_identity", "account_id"),
    ("identity", "identity_hash"),
    ("token", "token_hash"),
    ("upload", "account_id"),
    ("upload_piece", "account_id"),
    // A reference table: any node may read it.
    ("schema_version", "version"),
];

const FORBIDDEN: [&str; 14] = [
    "now(",
    "random(",
    "current_timestamp",
    "insert or",
    "autoincrement",
    "nocase",
    "ilike",
    " collate ",
    "::",
    "any(",
    "last_insert_rowid",
    "rowid",
    "glob ",
    "replace into",
];

/// Whole words and symbols, lower case.
fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in sql.to_lowercase().chars() {
        if c.is_alphanumeric() || matches!(c, '_' | '$' | '{' | '}' | '.') {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if !c.is_whitespace() {
            words.push(c.to_string());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Uses of tables: name and alias.
fn tables(words: &[String]) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if !matches!(word.as_str(), "from" | "join" | "into" | "update") {
            continue;
        }
        let Some((table, _)) = words
            .get(index + 1)
            .and_then(|name| TABLES.iter().find(|(table, _)| table == name))
        else {
            continue;
        };
        let alias = words.get(index + 2).filter(|next| {
            next.chars().all(|c| c.is_alphabetic())
                && !matches!(
                    next.as_str(),
                    "where" | "set" | "join" | "on" | "order" | "left" | "values"
                )
        });
        found.push((*table, alias.cloned().unwrap_or_default()));
    }
    found
}

/// The rules that a statement breaks.
fn broken(sql: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let lower = sql.to_lowercase();
    for word in FORBIDDEN {
        if lower.contains(word) {
            broken.push(format!("{word:?} is not portable"));
        }
    }
    let words = words(sql);
    let text = words.join(" ");
    let every_shard = lower.contains("/* every shard: ");
    let inserts = text.starts_with("insert");
    for (table, alias) in tables(&words) {
        let column = TABLES.iter().find(|(name, _)| *name == table).unwrap().1;
        if table == "schema_version" {
            continue;
        }
        if inserts {
            if !text.contains(&format!("insert into {table} ( {column}"))
                && !text.contains(&format!(", {column} ,"))
            {
                broken.push(format!("the insert into {table} does not set {column}"));
            }
            continue;
        }
        let qualified = if alias.is_empty() {
            column.to_owned()
        } else {
            format!("{alias}.{column}")
        };
        let uses = [format!(" {qualified} = $1"), format!(" {qualified} in (")];
        if !every_shard && !uses.iter().any(|routed| text.contains(routed)) {
            broken.push(format!("{table} is not routed by {qualified} = $1"));
        }
    }
    if text.contains(" limit ") && !text.contains(" order by ") {
        broken.push("LIMIT without ORDER BY".to_owned());
    }
    if text.contains("on conflict") {
        let target = text
            .split("on conflict ( ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        if !TABLES.iter().any(|(_, column)| target == Some(*column)) {
            broken.push("ON CONFLICT does not start with the distribution column".to_owned());
        }
    }
    if text.starts_with("update") {
        let set = text
            .split(" set ")
            .nth(1)
            .and_then(|rest| rest.split(" where ").next())
            .unwrap_or("");
        if set.starts_with("ns_id =") || set.contains(", ns_id =") {
            broken.push("a distribution column is updated".to_owned());
        }
    }
    if text.contains("recursive") && text.matches("ns_id = $1").count() < 2 {
        broken.push("a branch of a recursion is not routed".to_owned());
    }
    if text.contains("sum (") && !text.contains("cast ( coalesce ( sum (") {
        broken.push("a SUM without CAST: its type differs".to_owned());
    }
    broken
}

/// String literals of a source file, with their escapes left as they are.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line_start in source.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    }) {
        // Comments may hold quotes.
        let (start, line) = line_start;
        let code = line.split("//").next().unwrap_or("");
        for (offset, _) in code.match_indices('"') {
            let rest = &source[start + offset + 1..];
            let Some(end) = rest.find('"') else { continue };
            found.push(rest[..end].to_owned());
        }
    }
    found
}

fn statements() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sqlite");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        for literal in literals(&source) {
            let verb = literal.split_whitespace().next().unwrap_or("");
            if matches!(verb, "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "WITH") {
                found.push((path.file_name().unwrap().to_string_lossy().into_owned(), literal));
            }
        }
    }
    found
}

#[test]
fn every_statement_is_portable() {
    let statements = statements();
    assert!(
        statements.len() > 50,
        "only {} statements were found",
        statements.len()
    );
    let mut wrong = Vec::new();
    for (file, sql) in &statements {
        for rule in broken(sql) {
            wrong.push(format!("{file}: {rule}\n    {sql}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn settings_of_sqlite_live_in_one_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sqlite");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap().to_lowercase();
        assert!(
            path.ends_with("connect.rs") || !source.contains("pragma"),
            "{}",
            path.display()
        );
    }
}

/// Statements of a migration.
fn migrations() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    // By their timestamps, as they are applied.
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(path).unwrap();
        let code: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
        found.extend(
            code.join("\n")
                .split(';')
                .map(|sql| sql.trim().to_owned())
                .filter(|sql| !sql.is_empty()),
        );
    }
    found
}

fn broken_schema(sql: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let text = words(sql).join(" ");
    for word in [
        "trigger",
        "autoincrement",
        "serial",
        "blob ",
        "default",
        " check ",
    ] {
        if text.contains(word) && !text.contains(&format!("hot_{word}")) {
            broken.push(format!("{word:?} is not portable"));
        }
    }
    let distributed = |text: &str, after: &str, table: &str| {
        let column = TABLES
            .iter()
            .find(|(name, _)| *name == table)
            .map(|(_, column)| *column);
        let first = text.split(after).nth(1).and_then(|rest| rest.split(' ').next());
        column.is_some() && first == column
    };
    if let Some(rest) = text.strip_prefix("create table ") {
        let table = rest.split(' ').next().unwrap_or("");
        if !distributed(&text, "primary key ( ", table) {
            broken.push(format!(
                "the key of {table} does not start with its distribution column"
            ));
        }
    } else if text.starts_with("create unique index ") || text.starts_with("create index ") {
        let table = text
            .split(" on ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or("");
        if !distributed(&text, &format!(" on {table} ( "), table) {
            broken.push(format!(
                "an index of {table} does not start with its distribution column"
            ));
        }
    } else if let Some(rest) = text.strip_prefix("alter table ") {
        let known = rest.split(' ').next().unwrap_or("");
        let added = rest.split(" add column ").nth(1).unwrap_or("");
        // A column that rows of before can have: one name, one type, NULL.
        if !TABLES.iter().any(|(table, _)| *table == known) || added.split(' ').count() != 2 {
            broken.push("more than a column that may be NULL".to_owned());
        }
    } else {
        broken.push("neither a table, a column nor an index".to_owned());
    }
    broken
}

#[test]
fn every_table_is_portable() {
    for sql in migrations() {
        assert_eq!(broken_schema(&sql), Vec::<String>::new(), "{sql}");
    }
}

#[test]
fn the_rules_find_what_they_forbid() {
    for wrong in [
        "SELECT name FROM node WHERE node_id = $1",
        "SELECT name FROM node WHERE ns_id = $1 LIMIT 1",
        "SELECT n.name FROM journal j JOIN node n ON n.node_id = j.node_id WHERE j.ns_id = $1",
        "INSERT INTO node (node_id) VALUES ($1)",
        "INSERT OR REPLACE INTO node (ns_id, node_id) VALUES ($1, $2)",
        "INSERT INTO node (ns_id, node_id) VALUES ($1, $2) ON CONFLICT (node_id) DO NOTHING",
        "UPDATE node SET ns_id = $2 WHERE ns_id = $1",
        "UPDATE device SET last_seen_at = now() WHERE account_id = $1",
        "DELETE FROM token WHERE account_id = $1",
        "SELECT SUM(size) FROM node WHERE ns_id = $1",
    ] {
        assert_ne!(broken(wrong), Vec::<String>::new(), "{wrong}");
    }
    for wrong in [
        "CREATE TABLE node (ns_id BIGINT, node_id BIGINT, PRIMARY KEY (node_id))",
        "CREATE UNIQUE INDEX x ON node (parent_id, key)",
        "CREATE TABLE node (ns_id BIGINT DEFAULT 0, PRIMARY KEY (ns_id))",
        "ALTER TABLE node ADD COLUMN label TEXT NOT NULL",
        "ALTER TABLE node DROP COLUMN name",
        "ALTER TABLE elsewhere ADD COLUMN label TEXT",
        "CREATE TRIGGER t AFTER INSERT ON node BEGIN SELECT 1",
    ] {
        assert_ne!(broken_schema(wrong), Vec::<String>::new(), "{wrong}");
    }
    assert_eq!(
        broken("SELECT name FROM node WHERE ns_id = $1 ORDER BY name LIMIT 1"),
        Vec::<String>::new()
    );
}

/// A plan that reads a whole namespace, or sorts, costs the same for one file as for a million.
fn slow_step(sql: &str, step: &str) -> bool {
    let ordered = sql.contains("ORDER BY");
    let scans = TABLES
        .iter()
        .any(|(table, _)| step.starts_with(&format!("SCAN {table}")))
        || ["n", "j", "h"]
            .iter()
            .any(|alias| step == format!("SCAN {alias}"));
    let whole_namespace = step.contains("(ns_id=?)") && !step.starts_with("SEARCH namespace") && !ordered;
    // What has not expired yet is nearly everything.
    let all_alive = step.contains("expires_at>?");
    scans || whole_namespace || all_alive || step.contains("AUTOMATIC") || step.contains("TEMP B-TREE")
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let pool = sqlx::SqlitePool::connect("sqlite::memory:").await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    for sql in migrations() {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    let mut slow = Vec::new();
    // What SQLite chooses depends on how long a list is.
    let long: Vec<String> = (7..71).map(|index| format!("${index}")).collect();
    let long = long.join(", ");
    for (file, sql) in statements() {
        if sql.starts_with("INSERT") || sql.contains("schema_version") {
            continue;
        }
        let two_rows = "($2, $3), ($4, $5)";
        for (list, rows) in [("$7", "($2, $3)"), ("$7, $8", two_rows), (&long, two_rows)] {
            let explained = sql.replace("{list}", list).replace("{rows}", rows);
            let query = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {explained}"));
            for row in sqlx::query(query).fetch_all(&mut *connection).await.unwrap() {
                let step: String = sqlx::Row::get(&row, "detail");
                if slow_step(&sql, &step) {
                    slow.push(format!("{file}: {step}\n    {sql}"));
                }
            }
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
    assert!(slow_step(
        "SELECT 1",
        "SEARCH node USING INDEX node_children (ns_id=?)"
    ));
    assert!(slow_step(
        "SELECT 1",
        "SEARCH grant_ USING INDEX grant_expiry (ns_id=? AND expires_at>?)"
    ));
}
