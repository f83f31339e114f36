//! The sync daemon as a library.

pub mod applier;
pub mod downloader;
pub mod fs;
pub mod lock;
pub mod profile;
pub mod progress;
pub mod remote;
pub mod retry;
pub mod scanner;
pub mod state;
pub mod uploader;
pub mod watcher;
