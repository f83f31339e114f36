//! The one binary of Cairn.
fn main() {}
