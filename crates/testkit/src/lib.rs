//! Starts real servers and devices, breaks them, and compares what is left.
//!
//! Everything here drives the built binary `cairn` from outside, as a user, a network or a power cut would. A test begins
//! with a [`world::World`]: a folder of its own, a server on a free loopback port, an account, and as many devices as it
//! asks for. It ends with [`tree::assert_same`].
//!
//! To add a proof of full size: a module under `src/bin/proof/`, one arm in its `main`, one line in `docs/testing.md`.

pub mod binary;
pub mod chaos;
pub mod deadline;
pub mod device;
pub mod editor;
pub mod history;
pub mod ledger;
pub mod process;
pub mod proxy;
pub mod random;
pub mod raw;
pub mod server;
pub mod small_disk;
pub mod tree;
pub mod world;
