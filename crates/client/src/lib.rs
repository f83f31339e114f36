//! The sync daemon as a library.
