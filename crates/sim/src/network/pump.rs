//! A request's body on its way to the server.

use std::sync::Arc;

use cairn_client::remote::transport::Body;
use futures::StreamExt;

use super::body::Sender;
use super::plan::Plan;
use crate::trace::Trace;

/// Sends the blocks of a request's body.
pub(super) struct Pump {
    pub(super) blocks: Body,
    pub(super) sender: Sender,
    pub(super) plan: Plan,
    pub(super) trace: Arc<Trace>,
    pub(super) name: String,
}

impl Pump {
    /// False when the connection was cut in the middle.
    pub(super) async fn run(mut self) -> bool {
        let mut sent = 0;
        let mut hasher = blake3::Hasher::new();
        while let Some(block) = self.blocks.next().await {
            let Ok(block) = block else { return false };
            tokio::time::sleep(self.plan.block_pause).await;
            hasher.update(&block);
            if let Some(cut) = self.plan.cut_up
                && sent + block.len() > cut
            {
                self.sender.block(block.slice(..cut - sent)).await;
                self.trace.count("cut up");
                self.trace
                    .line(&self.name, format_args!("is cut after {cut} bytes"));
                return false;
            }
            sent += block.len();
            if !self.sender.block(block).await {
                // The server has answered without reading on.
                return true;
            }
        }
        let hash = hasher.finalize().to_hex();
        self.trace
            .line(&self.name, format_args!("sent {sent} bytes, {}", &hash[..8]));
        self.sender.end().await;
        true
    }
}
