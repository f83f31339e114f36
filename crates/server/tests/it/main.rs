//! The server over its in-memory stores: every route, every documented error.

mod auth;
mod browse;
mod commit;
mod events;
mod fetch;
mod serve;
mod support;
mod upload;
