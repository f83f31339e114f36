//! Telling a damaged index from a failing disk.

use std::path::Path;

use crate::{ChunkError, Result};

#[derive(Debug, thiserror::Error)]
#[error("the index has version {found}, which this program does not know")]
pub(super) struct WrongVersion {
    pub(super) found: i64,
}

#[derive(Debug, thiserror::Error)]
#[error("the index fails its check: {check}")]
pub(super) struct Damaged {
    pub(super) check: String,
}

/// Whether the file, rather than the disk or the caller, is at fault; then building it anew helps.
pub(super) fn is_damage(error: &sqlx::Error) -> bool {
    match error {
        // SQLITE_ERROR (a table is missing), SQLITE_CORRUPT and SQLITE_NOTADB, with their extended codes.
        sqlx::Error::Database(error) => error
            .code()
            .and_then(|code| code.parse::<u32>().ok())
            .is_some_and(|code| matches!(code & 0xff, 1 | 11 | 26)),
        sqlx::Error::Configuration(source) => source.is::<WrongVersion>() || source.is::<Damaged>(),
        sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => true,
        _ => false,
    }
}

/// Says what was tried; tells a full disk from other failures.
pub(super) fn failed(action: &'static str, path: &Path, source: sqlx::Error) -> ChunkError {
    const SQLITE_FULL: &str = "13";
    if source
        .as_database_error()
        .and_then(|error| error.code())
        .as_deref()
        == Some(SQLITE_FULL)
    {
        return ChunkError::Full {
            path: path.to_owned(),
        };
    }
    ChunkError::Index {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Renames the index and its companions, over those of an earlier time.
pub(super) fn set_aside(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut from = path.as_os_str().to_owned();
        from.push(suffix);
        let mut to = path.as_os_str().to_owned();
        to.push(".damaged");
        to.push(suffix);
        match std::fs::rename(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(ChunkError::io("rename", Path::new(&from), error)),
        }
    }
    Ok(())
}
