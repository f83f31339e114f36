//! The pure heart of Cairn: ids, names, chunks, trees and the rules of syncing, without IO.
//!
//! Nothing here reads a clock, draws a random number, touches a file or waits: what differs between two runs comes in
//! as an argument (see [`runtime`]).
//!
//! # Words
//! - *namespace*: a root with its own journal: each account's own files, and each shared folder.
//! - *node*: a file, folder or link; its id survives moves and renames.
//! - *rev*: one state of a file's content.
//! - *journal*, *seq*: the ordered history of a namespace and a position in it; a *cursor* is a position that a reader keeps.
//! - *chunk*: a content-defined piece of a file, named by its hash; a *manifest* is the ordered chunks of a file.
//! - *pack*: many chunks in one immutable file.
//! - *commit*: one atomic change of a namespace.
//! - *remote, local, synced tree*: what the server says, what the disk says, what both last agreed on.
//! - *signature*, *delta*: what is told of a chunk, and what turns it into another (rsync's words).
//! - *scan, plan, stage, apply*: the four steps of syncing.
//! - *conflicted copy*: the second of two versions that were written at once, under a name of its own.

pub mod base;
pub mod change;
pub mod chunker;
pub mod conflict;
pub mod content_hash;
pub mod delta;
pub mod file_hasher;
pub mod ids;
pub mod limits;
pub mod manifest;
pub mod name;
pub mod node;
pub mod planner;
pub mod rev;
pub mod runtime;
pub mod time;
pub mod tree;
pub mod tree_hash;
