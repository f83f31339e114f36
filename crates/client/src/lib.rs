//! The sync daemon as a library.

pub mod downloader;
pub mod fs;
pub mod lock;
pub mod profile;
pub mod progress;
pub mod remote;
pub mod retry;
pub mod state;
pub mod uploader;
