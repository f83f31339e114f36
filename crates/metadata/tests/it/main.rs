//! Tests of the metadata stores.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod crash;
mod random;
mod sql_rules;
mod stores;
