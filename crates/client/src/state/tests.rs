mod bounds;
mod conformance;
mod crash;
mod inbox;
mod neighbourhoods;
mod pages;
mod plans;
mod random;
mod world;

use std::sync::Arc;

use tempfile::TempDir;

use super::ClientState;
use super::memory::MemoryState;
use super::sqlite::SqliteState;

/// A state, what it is called, and the folder that it lives in.
struct Subject {
    name: &'static str,
    state: Arc<dyn ClientState>,
    _folder: TempDir,
}

/// One of each kind.
async fn subjects() -> Vec<Subject> {
    let folder = TempDir::new().unwrap();
    let sqlite = SqliteState::open(&folder.path().join("state.db")).await.unwrap();
    vec![
        Subject {
            name: "memory",
            state: Arc::new(MemoryState::new()),
            _folder: TempDir::new().unwrap(),
        },
        Subject {
            name: "sqlite",
            state: Arc::new(sqlite),
            _folder: folder,
        },
    ]
}
