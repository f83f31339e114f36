//! The whole of Cairn in one thread under a seed: many devices, one server, a lossy network, a failing disk, and an
//! oracle that says what must be left.

pub mod disk;
