//! The use cases, each written once. They know nothing of HTTP.

pub mod accounts;
pub mod audit;
pub(crate) mod browse;
pub(crate) mod commit;
pub(crate) mod contents;
pub(crate) mod deltas;
pub(crate) mod fetch;
pub(crate) mod files;
mod patches;
pub(crate) mod revs;
pub(crate) mod steps;
pub(crate) mod tree_hash;
pub(crate) mod upload;
