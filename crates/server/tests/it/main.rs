//! The server over its in-memory stores: every route, every documented error.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod account;
mod audit;
mod auth;
mod browse;
mod browser;
mod commit;
mod connections;
mod contract;
mod deltas;
mod events;
mod fetch;
mod hashing;
mod log;
mod mail;
mod oauth_pages;
mod oauth_token;
mod oidc;
mod people;
mod public;
mod revs;
mod second_factor;
mod secrets;
mod serve;
mod steps;
mod support;
mod tokens;
mod tree_hash;
mod upload;
mod web;
mod wipe;
