//! The sync daemon as a library.

pub mod applier;
pub(crate) mod base;
pub mod conflicts;
pub mod control;
pub mod daemon;
pub mod downloader;
pub mod engine;
pub mod exclude;
pub mod files;
pub mod fs;
pub(crate) mod known;
pub mod lock;
mod paths;
pub mod profile;
pub mod progress;
pub mod reason;
pub mod remote;
pub mod retry;
pub mod scanner;
pub mod state;
pub mod status;
pub mod uploader;
pub mod verify;
pub mod watcher;
pub mod why;
pub mod wipe;
