//! What SQLite's failures mean to callers.

use std::path::PathBuf;

use crate::MetadataError;
use crate::codec::DecodeError;

/// SQLite's code for a disk that is full.
const FULL: i32 = 13;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder cannot be used.
    #[error("cannot open the database {}", path.display())]
    Io {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: MetadataError,
    },
    /// A newer program wrote the database.
    #[error(
        "the database {} has schema {found}, this program knows schemas up to {known}: use a newer program",
        path.display()
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// The newest migration in the database.
        found: i64,
        /// The newest migration of this program.
        known: i64,
    },
    /// Its name keys were made by other Unicode tables than this program's.
    #[error(
        "the names in {} are indexed with Unicode {found}, this program has Unicode {known}: rebuild the keys first",
        path.display()
    )]
    UnicodeTables {
        /// The database.
        path: PathBuf,
        /// The tables that the database was made with.
        found: String,
        /// The tables of this program.
        known: String,
    },
}

impl From<sqlx::Error> for MetadataError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(cause) => match primary_code(cause.as_ref()) {
                Some(11 | 26) => corrupt(format!("SQLite reports: {}", cause.message())),
                Some(FULL) => Self::Full,
                // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CANTOPEN, PROTOCOL.
                Some(5..=10 | 14..=15) => Self::Unavailable(Box::new(error)),
                _ => corrupt(format!("a statement was refused: {}", cause.message())),
            },
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::RowNotFound => corrupt(error.to_string()),
            _ => Self::Unavailable(Box::new(error)),
        }
    }
}

impl From<DecodeError> for MetadataError {
    fn from(error: DecodeError) -> Self {
        corrupt(error.to_string())
    }
}

pub(super) fn corrupt(what: impl Into<String>) -> MetadataError {
    MetadataError::Corrupt { what: what.into() }
}

/// Whether the disk was full, so that nothing was written.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(cause) if primary_code(cause.as_ref()) == Some(FULL))
}

/// Whether SQLite failed to write or sync: what is on disk is unknown then, and nothing more may be acknowledged
/// before the database was opened again.
pub(super) fn is_disk_failure(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(cause) if primary_code(cause.as_ref()) == Some(10))
}

fn primary_code(error: &dyn sqlx::error::DatabaseError) -> Option<i32> {
    let extended: i32 = error.code()?.parse().ok()?;
    Some(extended & 0xff)
}
