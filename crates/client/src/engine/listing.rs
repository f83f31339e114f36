//! The whole remote tree at once, where the journal does not lead to it.

use cairn_api::sync::{ChangesReply, ChangesRequest, NodesRequest};
use cairn_core::ids::NodeId;
use cairn_core::limits;
use cairn_core::rev::{Cursor, Seq};

use super::{Engine, EngineResult};
use crate::state::Relisted;

/// A merge with a server of whose history nothing is known.
pub(super) const UNION: Relisted = Relisted::Merge { shared: Seq::ZERO };

impl Engine {
    /// Finishes a listing that was cut off. Whether it was a merge is not remembered: as one, nothing is lost. A server
    /// that was restored in between may never have been where it was made, so it is asked first.
    pub(super) async fn resume_listing(&self) -> EngineResult<()> {
        let Some((at, after)) = self.state.unfinished_listing(self.namespace).await? else {
            return Ok(());
        };
        match self.ask_from(at).await? {
            ChangesReply::Page { .. } => {
                self.list_pages(at, after).await?;
                self.state.finish_listing(self.namespace, UNION).await?;
                Ok(())
            }
            ChangesReply::BelowFloor { head } | ChangesReply::NotOnChain { head } => {
                self.list_tree(head, UNION).await
            }
        }
    }

    /// Replaces the remote tree by a listing.
    pub(super) async fn list_tree(&self, at: Cursor, mut kind: Relisted) -> EngineResult<()> {
        self.state.begin_listing(self.namespace, at).await?;
        self.list_pages(at, None).await?;
        let relies = matches!(kind, Relisted::Merge { shared } if shared > Seq::ZERO);
        if relies && !matches!(self.ask_from(at).await?, ChangesReply::Page { .. }) {
            // A server that was restored once more meanwhile shares less with this device than it said.
            kind = UNION;
        }
        self.state.finish_listing(self.namespace, kind).await?;
        Ok(())
    }

    /// Up to where the journal of a server that has never been at `cursor` is the one that this device has read.
    pub(super) async fn shared_history(&self, cursor: Cursor) -> EngineResult<Seq> {
        let waypoints = self.state.waypoints(self.namespace).await?;
        let (mut shared, mut few, mut many) = (Seq::ZERO, 0, waypoints.len());
        while few < many {
            let middle = few + (many - few) / 2;
            let (seq, chain) = waypoints[middle];
            match self.ask_from(Cursor { seq, chain, ..cursor }).await? {
                ChangesReply::Page { .. } => (shared, few) = (seq, middle + 1),
                // Too long ago to be told: only a later one can be shared for certain.
                ChangesReply::BelowFloor { .. } => few = middle + 1,
                ChangesReply::NotOnChain { .. } => many = middle,
            }
        }
        Ok(shared)
    }

    /// What the server says to a position, with as little of the journal as there can be.
    async fn ask_from(&self, cursor: Cursor) -> EngineResult<ChangesReply> {
        let request = ChangesRequest {
            cursor,
            limit: 1,
            wait_seconds: 0,
        };
        Ok(self.remote.changes(request).await?)
    }

    async fn list_pages(&self, at: Cursor, mut after: Option<NodeId>) -> EngineResult<()> {
        loop {
            let request = NodesRequest {
                namespace: self.namespace,
                at: Some(at.seq),
                folder: None,
                after,
                limit: limits::LISTING_PAGE as u32,
            };
            let page = self.remote.nodes(request).await?;
            self.state.add_to_listing(self.namespace, &page.nodes).await?;
            match page.nodes.last() {
                Some(last) if page.has_more => after = Some(last.id),
                _ => return Ok(()),
            }
        }
    }
}
