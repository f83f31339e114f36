//! The wire types of Cairn's protocols, shared by server and client.
//!
//! To add a message of `/sync/1`: its struct and route in [`sync`], a row in `docs/protocol.md`, a handler in the
//! server's `sync/`, a method of the client's `Remote`.

pub mod error;
pub mod frame;
pub mod sync;
pub mod wire;
