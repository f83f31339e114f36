//! Tests of the metadata stores.

mod stores;
