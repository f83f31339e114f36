//! Makes disk and server agree: pulls the journal, plans, carries out, until there is nothing left to do.
//!
//! One engine drives one synced folder from one task. It keeps nothing in memory between two passes: whatever cuts it
//! off, the next pass plans from the trees as they then are.

mod aftercare;
mod ahead;
mod carry_out;
mod fetching;
mod folding;
mod listing;
mod outgoing;
mod power;
mod pull;
mod push;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use cairn_core::ids::{DeviceId, NamespaceId, NodeId};
use cairn_core::planner::{Context, Plan, plan};
use cairn_core::runtime::Runtime;
use cairn_core::time::Date;
use cairn_core::tree::Neighbourhood;

use crate::applier::Applier;
use crate::downloader::Downloader;
use crate::fs::Filesystem;
use crate::progress::Progress;
use crate::remote::{Remote, RemoteError};
use crate::state::{ClientState, StateError};
use crate::uploader::{UploadError, Uploader};

pub use report::{PassReport, Setback};

/// Nodes planned at once. Bounds the memory of a pass; large enough that a commit or a fetch is filled.
pub const NODES_AT_ONCE: usize = 2_000;
/// Passes over the dirty nodes without a pull in between; a plan that needs more is a mistake of the planner.
const PASSES: usize = 200;

/// What ends a pass early. The trees are as good as before; the pass is made again.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The server cannot be asked, or refused the whole request.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The device's own state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<UploadError> for EngineError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Remote(error) => Self::Remote(error),
            UploadError::State(error) => Self::State(error),
        }
    }
}

/// The result of what the engine does.
pub type EngineResult<T> = Result<T, EngineError>;

/// Drives one synced folder.
pub struct Engine {
    /// The server.
    pub remote: Arc<dyn Remote>,
    /// The folder.
    pub fs: Arc<dyn Filesystem>,
    /// What the device remembers.
    pub state: Arc<dyn ClientState>,
    /// Time, randomness and threads.
    pub runtime: Runtime,
    /// The namespace that is synced.
    pub namespace: NamespaceId,
    /// This device, as the journal names it.
    pub device: DeviceId,
    /// This device's name, for conflicted copies.
    pub device_name: String,
    /// What is counted.
    pub progress: Arc<Progress>,
    /// Puts things on the disk.
    pub applier: Applier,
    /// Sends.
    pub uploader: Uploader,
    /// Fetches.
    pub downloader: Downloader,
    /// Whether the disk may have lost what was written last: from the first start after the machine or the disk was, until what
    /// was in flight before is settled.
    pub may_have_lost_writes: AtomicBool,
    /// How often in a row a name that the planner made was taken: it sees only the neighbourhood of what is dirty.
    pub names_taken: AtomicU32,
    /// Nodes planned at once.
    pub nodes_at_once: usize,
}

impl Engine {
    /// Pulls the journal, then plans and carries out until nothing is left, or nothing more succeeds.
    ///
    /// # Errors
    /// [`EngineError`]; what was done until then is recorded.
    pub async fn sync(&self) -> EngineResult<PassReport> {
        let mut report = PassReport::default();
        if !self.finish_intents(&mut report).await? {
            return Ok(report);
        }
        self.settle_in_flight().await?;
        let moved = self.read_journal().await?;
        // What is new is fetched while the server hears how far this device has come: that is a round trip less until it is seen.
        // What a restored device has to be told it was told when it introduced itself.
        let (reply, passed) = futures::future::join(self.tell_cursor(moved), self.passes(&mut report)).await;
        passed?;
        if self.heed(moved, reply?).await? {
            self.passes(&mut report).await?;
        }
        Ok(report)
    }

    /// Plans and carries out until nothing is left, or nothing more succeeds.
    async fn passes(&self, report: &mut PassReport) -> EngineResult<()> {
        let mut make_way = false;
        for _ in 0..PASSES {
            let mut pass = self.pass(make_way).await?;
            let taken_ids = std::mem::take(&mut pass.taken_ids);
            // What waits for a name that a node of another plan has may be a part of a ring: the next pass breaks it.
            let may_break_ring = pass.is_held_up && !make_way;
            let is_over = (pass.steps == 0 || pass.done == 0) && !may_break_ring;
            make_way = pass.is_held_up;
            let is_stale = pass.is_stale;
            report.merge(pass);
            if report.is_stuck {
                return Ok(());
            }
            if is_stale {
                self.pull().await?;
            }
            if !taken_ids.is_empty() {
                self.replace_taken_ids(taken_ids).await?;
            }
            if is_over && !(is_stale && report.may_repeat_for_staleness()) {
                break;
            }
        }
        self.empty_trash().await;
        // A folder that is left for what in it is not synced asks for no download.
        if self.state.counts(self.namespace).await?.dirty <= report.left_count {
            self.sweep_stage().await;
        }
        Ok(())
    }

    /// Goes once over all dirty nodes; those of one plan may have those of another make way.
    async fn pass(&self, make_way: bool) -> EngineResult<PassReport> {
        let mut report = PassReport::default();
        let mut after: Option<NodeId> = None;
        loop {
            let hood = self
                .state
                .neighbourhood(self.namespace, after, self.nodes_at_once)
                .await?;
            let Some(last) = hood.dirty.last().copied() else {
                break;
            };
            after = Some(after.map_or(last, |after| after.max(last)));
            let plan = self.plan(&hood, make_way);
            report.is_held_up |= plan.held_up;
            report.waiting += plan.waiting.len() as u64;
            self.carry_out(&hood, plan, &mut report).await?;
            if report.is_stuck {
                break;
            }
        }
        Ok(report)
    }

    fn plan(&self, hood: &Neighbourhood, make_way: bool) -> Plan {
        let entropy = Arc::clone(&self.runtime.entropy);
        let mut fresh = || NodeId::random(entropy.as_ref());
        let today = Date::of(self.runtime.clock.now());
        plan(
            hood,
            Context {
                device_name: &self.device_name,
                today,
                names_taken: self.names_taken.load(Ordering::Relaxed),
                make_way,
                fresh: &mut fresh,
            },
        )
    }
}
