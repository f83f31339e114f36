//! The program as a script sees it: exit codes and sentences.

mod failures;
mod mail;
mod support;
mod telemetry;
