//! The sync daemon as a library.

pub mod fs;
pub mod lock;
pub mod profile;
pub mod remote;
pub mod state;
