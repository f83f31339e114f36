//! The sync daemon as a library.

pub mod fs;
pub mod remote;
pub mod state;
