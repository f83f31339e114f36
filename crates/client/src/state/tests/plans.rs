//! No statement reads a whole table to find a few rows: with a million files each such one is a second.

use std::path::Path;

use sqlx::Connection;

use super::super::sqlite::SqliteState;

/// Statements that go over everything on purpose, by a part of their text.
const WHOLE: [&str; 11] = [
    // A page of what is dirty, waiting or listed is found by its order.
    "FROM dirty",
    "FROM intent",
    "FROM listing",
    "FROM excluded",
    "FROM checkpoint",
    // Some two hundred rows at most.
    "FROM waypoint",
    "FROM conflict",
    "UPDATE conflict",
    // Names that look like conflicted copies, when the user asks for them.
    "instr(e.name",
    "FROM displaced",
    // Once when opening, after very many contents came.
    "DELETE FROM content",
];

/// The statements in a source file, those built by `select_entries!` put together.
fn statements(source: &str) -> Vec<String> {
    let literals: Vec<(usize, String)> = source
        .match_indices('"')
        .map(|(at, _)| at)
        .collect::<Vec<_>>()
        .chunks_exact(2)
        .map(|pair| (pair[0], source[pair[0] + 1..pair[1]].to_owned()))
        .collect();
    let mut found = Vec::new();
    for (index, (at, text)) in literals.iter().enumerate() {
        let is_source = source[..*at].trim_end().ends_with("select_entries!(");
        if is_source && let Some((_, rest)) = literals.get(index + 1) {
            found.push(format!(
                "SELECT e.node, e.name, o.inode FROM {text}
                 LEFT JOIN observed o ON e.trees & 2 AND o.ns = e.ns AND o.node = e.node {rest}"
            ));
        }
        let verb = text.split_whitespace().next().unwrap_or_default();
        if matches!(verb, "SELECT" | "UPDATE" | "DELETE" | "WITH") && text.len() > verb.len() + 1 {
            found.push(text.clone());
        }
    }
    found
}

/// Comments may hold quotes.
fn without_comments(source: &str) -> String {
    source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_slow(step: &str) -> bool {
    let tables = ["entry", "e", "observed", "o", "i", "content", "c"];
    let is_scan = tables
        .iter()
        .any(|table| step == format!("SCAN {table}") || step.starts_with(&format!("SCAN {table} ")));
    let is_whole_namespace = step.ends_with("(ns=?)") && !step.contains("observed_unsure");
    is_scan || is_whole_namespace || step.contains("AUTOMATIC")
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    drop(SqliteState::open(&path).await.unwrap());
    let mut connection = sqlx::SqliteConnection::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/state/sqlite");
    let mut count = 0;
    let mut slow = Vec::new();
    for entry in std::fs::read_dir(sources).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for sql in statements(&without_comments(&source)) {
            if WHOLE.iter().any(|whole| sql.contains(whole)) || sql.contains("VALUES") {
                continue;
            }
            let query = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            // Statements that are put together at run time are not whole here.
            let Ok(steps) = sqlx::query(query).fetch_all(&mut connection).await else {
                continue;
            };
            count += 1;
            for step in steps {
                let step: String = sqlx::Row::get(&step, "detail");
                if is_slow(&step) {
                    slow.push(format!("{step}\n    {sql}"));
                }
            }
        }
    }
    assert!(count > 20, "only {count} statements were looked at");
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}
