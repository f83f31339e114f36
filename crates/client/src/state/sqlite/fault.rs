//! What SQLite's failures mean.

use std::path::Path;

use crate::state::StateError;

/// What went wrong, before the file's path is put to it.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite, or the way to it, failed.
    Sql(sqlx::Error),
    /// A row holds what was never written.
    Damaged(String),
    /// The schema is one of a later version.
    Newer,
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// A column holds what was never written there.
    pub(super) fn damaged(what: &'static str) -> Self {
        Self::Damaged(format!("a row holds an impossible {what}"))
    }

    /// The error for callers.
    pub(super) fn at(self, path: &Path) -> StateError {
        let path = path.display().to_string();
        match self {
            Self::Sql(source) => match damage(&source) {
                Some(what) => StateError::Corrupt { path, what },
                None => StateError::Unavailable { path, source },
            },
            Self::Damaged(what) => StateError::Corrupt { path, what },
            Self::Newer => StateError::Newer { path },
        }
    }
}

/// SQLITE_CORRUPT and SQLITE_NOTADB, the low byte of an extended code.
const DAMAGE_CODES: [u32; 2] = [11, 26];

fn damage(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Database(inner) => {
            let code: u32 = inner.code()?.parse().ok()?;
            DAMAGE_CODES
                .contains(&(code & 0xff))
                .then(|| inner.message().to_owned())
        }
        sqlx::Error::ColumnDecode { index, .. } => {
            Some(format!("column {index} holds a value of another type"))
        }
        sqlx::Error::Decode(_) | sqlx::Error::RowNotFound => {
            Some("a row that must be there is not".to_owned())
        }
        _ => None,
    }
}
