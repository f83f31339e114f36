//! The whole of Cairn in one thread under a seed: many devices, one server, a lossy network, a failing disk, and an
//! oracle that says what must be left.

pub mod actions;
mod check;
pub mod clock;
pub mod content;
pub mod device;
pub mod disk;
pub mod gates;
pub mod generate;
pub mod ledger;
pub mod model;
pub mod network;
pub mod run;
pub mod script;
pub mod server;
pub mod shrink;
pub mod spawner;
pub mod trace;
pub mod tree;
pub mod watch;
pub mod world;
