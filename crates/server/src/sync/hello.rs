//! `GET /sync/1/hello`: what this server is. Needs no token.

use cairn_api::sync::{Hello, PROTOCOL_VERSION};

use crate::body::Reply;

pub(super) async fn hello() -> Reply<Hello> {
    Reply(Hello {
        product: "cairn".to_owned(),
        protocol: PROTOCOL_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}
