//! Running statements: counted, prepared once, many rows at a time.
//!
//! Statements are literals. `{rows}` in one stands for as many rows of values as are bound, `{list}` for as many
//! values; nothing else is ever put into a statement's text, so that `tests/it/sql_rules.rs` reads all of them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Sqlite};

use crate::Result;

pub(super) type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// Counters of a store, cheap enough to be always on.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) transactions: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) commit_ops: AtomicU64,
    pub(super) statements: AtomicU64,
}

/// A connection on which statements of one request run.
pub(super) struct Session<'c> {
    pub(super) connection: &'c mut SqliteConnection,
    pub(super) counters: &'c Counters,
}

impl Session<'_> {
    fn count(&self) {
        self.counters.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs a statement; how many rows it changed.
    pub(super) async fn execute(&mut self, query: Query<'_>) -> Result<u64> {
        self.count();
        Ok(query.execute(&mut *self.connection).await?.rows_affected())
    }

    /// Reads all rows: for statements whose bindings or LIMIT bound their number.
    pub(super) async fn all(&mut self, query: Query<'_>) -> Result<Vec<SqliteRow>> {
        self.count();
        Ok(query.fetch_all(&mut *self.connection).await?)
    }

    /// Reads one row or none.
    pub(super) async fn optional(&mut self, query: Query<'_>) -> Result<Option<SqliteRow>> {
        self.count();
        Ok(query.fetch_optional(&mut *self.connection).await?)
    }

    /// Hands each row to `take` as it is read, for results that may be long.
    pub(super) async fn each(
        &mut self,
        query: Query<'_>,
        mut take: impl FnMut(SqliteRow) -> Result<()> + Send,
    ) -> Result<()> {
        self.count();
        let mut rows = query.fetch(&mut *self.connection);
        while let Some(row) = rows.try_next().await? {
            take(row)?;
        }
        Ok(())
    }
}

/// Starts a statement without `{..}`.
pub(super) fn query<'q>(sql: &'static str) -> Query<'q> {
    sqlx::query(sql)
}

/// Starts a statement whose `{rows}` are that many rows of `columns` values, and all that is bound.
pub(super) fn query_rows<'q>(sql: &'static str, columns: usize, rows: usize) -> Query<'q> {
    // Without numbers: SQLite goes through a list of all numbered ones for each that is bound.
    with_rows(sql, columns, rows, |values, _| values.push('?'))
}

/// Starts a statement whose `{rows}` are that many rows of `columns` values, the first of them `$first`.
pub(super) fn query_rows_from<'q>(sql: &'static str, first: usize, columns: usize, rows: usize) -> Query<'q> {
    with_rows(sql, columns, rows, |values, index| {
        // Writing to a string cannot fail.
        let _ = write!(values, "${}", first + index);
    })
}

fn with_rows<'q>(
    sql: &'static str,
    columns: usize,
    rows: usize,
    place_value: impl Fn(&mut String, usize),
) -> Query<'q> {
    let mut values = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        values.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            if column > 0 {
                values.push_str(", ");
            }
            place_value(&mut values, row * columns + column);
        }
        values.push(')');
    }
    sqlx::query(AssertSqlSafe(sql.replace("{rows}", &values)))
}

/// Starts a statement whose `{list}` are `len` values, the first of them `$first`.
pub(super) fn query_list<'q>(sql: &'static str, first: usize, len: usize) -> Query<'q> {
    sqlx::query(AssertSqlSafe(with_list(sql, first, len)))
}

fn with_list(sql: &str, first: usize, len: usize) -> String {
    let mut values = String::with_capacity(len * 6);
    if let Some(unnumbered) = unnumbered(sql, first) {
        // As in `query_rows`.
        (0..len).for_each(|index| values.push_str(if index == 0 { "?" } else { ", ?" }));
        return unnumbered.replace("{list}", &values);
    }
    for index in 0..len {
        let separator = if index == 0 { "$" } else { ", $" };
        // Writing to a string cannot fail.
        let _ = write!(values, "{separator}{}", first + index);
    }
    sql.replace("{list}", &values)
}

/// A statement without the numbers of its values, where they stand in their order, once each, and the list is the last.
fn unnumbered(sql: &str, first: usize) -> Option<String> {
    let (before, after) = sql.split_once("{list}")?;
    let mut pieces = before.split('$');
    let mut text = pieces.next()?.to_owned();
    let mut count = 0;
    for piece in pieces {
        count += 1;
        let rest = piece.strip_prefix(count.to_string().as_str())?;
        if rest.starts_with(|next: char| next.is_ascii_digit()) {
            return None;
        }
        text.push('?');
        text.push_str(rest);
    }
    (count + 1 == first && !after.contains(['$', '{'])).then(|| format!("{text}{{list}}{after}"))
}

/// Cuts items into runs of few different lengths, so that few different statements are prepared.
pub(super) fn runs<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let len = [64, 16, 4, 1].into_iter().find(|len| rest.len() >= *len)?;
        let (run, after) = rest.split_at(len);
        rest = after;
        Some(run)
    })
}

/// Cuts items into lists for `IN`, each padded to one of few lengths by repeating its last item.
pub(super) fn lists<T: Copy>(items: &[T]) -> impl Iterator<Item = Vec<T>> {
    items.chunks(512).map(|chunk| {
        let mut list = chunk.to_vec();
        let len = [1, 8, 64]
            .into_iter()
            .find(|len| *len >= list.len())
            .unwrap_or(512);
        if let Some(last) = chunk.last() {
            list.resize(len, *last);
        }
        list
    })
}

#[cfg(test)]
mod tests {
    use super::with_list;

    #[test]
    fn values_in_their_order_have_no_numbers() {
        let sql = "b = $1 AND c > $2 AND d IN ({list}) ORDER BY a";
        let plain = "b = ? AND c > ? AND d IN (?, ?) ORDER BY a";
        assert_eq!(with_list(sql, 3, 2), plain);
        assert_eq!(with_list("a IN ({list})", 1, 1), "a IN (?)");
    }

    #[test]
    fn others_keep_their_numbers() {
        for (sql, numbered) in [
            (
                "a = $1 AND b IN ({list}) AND c = $1",
                "a = $1 AND b IN ($2, $3) AND c = $1",
            ),
            (
                "a = $1 AND c = $1 AND b IN ({list})",
                "a = $1 AND c = $1 AND b IN ($2, $3)",
            ),
            (
                "b IN ({list}) AND c NOT IN ({list}) AND a = $1",
                "b IN ($2, $3) AND c NOT IN ($2, $3) AND a = $1",
            ),
        ] {
            assert_eq!(with_list(sql, 2, 2), numbered);
        }
    }
}
