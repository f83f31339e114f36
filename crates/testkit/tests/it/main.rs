//! End to end, with the real program: see `cairn_testkit` for how a test is built.

mod access;
mod backup;
mod bad_input;
mod conflicts;
mod daemon;
mod edits;
mod files_commands;
mod full_disk;
mod history;
mod inbox;
mod kills;
mod names;
mod offline;
mod protocol;
mod resume;
mod steering;
mod tls;
mod up_command;
mod verify;
mod walk;
mod why;
mod wipe;
