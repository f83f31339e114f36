//! The rolling check: a slice of all files every hour.
//!
//! A round takes 30 days of running. Where the machine went off while the folder was followed a new round begins and takes
//! a day: what was written in place shortly before may be on the disk with the times of long before, and then no time
//! tells which files to read.

use std::convert::Infallible;
use std::time::Duration;

use cairn_core::ids::NodeId;

use super::super::{Daemon, DaemonError};
use super::{AT_ONCE, Seen};
use crate::state::StateResult;

/// The setting that holds how far the rolling check has come: the last node and how many files its round has read.
pub(super) const ROUND_SETTING: &str = "reread-round";
/// The setting that is there during a round of a day.
const HURRY_SETTING: &str = "reread-hurry";
/// The setting that names the session of the disk in which a daemon follows the folder; none after it ended in order.
pub(super) const FOLLOWED_SETTING: &str = "followed-in";
/// How often the rolling check reads a slice.
const SLICE_EVERY: Duration = Duration::from_secs(3_600);
/// Slices of a round: each file is read once in 30 days of running.
const SLICES: u64 = 30 * 24;
/// Slices of a round after the machine went off.
const HURRIED_SLICES: u64 = 24;

impl Daemon {
    /// Notes in which session of the disk the folder is followed. If it was followed in an earlier one to its very end, all
    /// files are to be read within a day.
    pub(in super::super) async fn begin_following(&self) -> StateResult<()> {
        let state = &self.engine.state;
        let now = self.engine.fs.session();
        let before = state.setting(FOLLOWED_SETTING).await?;
        if before.is_some_and(|before| now.as_deref() != Some(&before)) {
            state.set_setting(ROUND_SETTING, None).await?;
            state.set_setting(HURRY_SETTING, Some("1")).await?;
        }
        state
            .set_setting(FOLLOWED_SETTING, Some(&now.unwrap_or_default()))
            .await
    }

    /// Notes that the folder is followed no more. What is written until the machine goes off is left to the round of a
    /// month, since it may well be shut down in order.
    pub(in super::super) async fn end_following(&self) -> StateResult<()> {
        self.engine.state.set_setting(FOLLOWED_SETTING, None).await
    }

    /// Reads a slice of all files every hour.
    pub(in super::super) async fn reread_in_turn(&self) -> Infallible {
        loop {
            tokio::time::sleep(SLICE_EVERY).await;
            if self.is_paused() {
                continue;
            }
            match self.reread_slice().await {
                Ok(true) => {
                    // Looked at by a pass at once.
                    self.nudge.notify_one();
                }
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "files could not be read again"),
            }
        }
    }

    /// Reads the next slice. Returns whether bytes were found that nothing had told of.
    pub(super) async fn reread_slice(&self) -> Result<bool, DaemonError> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        let nodes = state.counts(namespace).await?.local_nodes;
        let slices = match state.setting(HURRY_SETTING).await? {
            Some(_) => HURRIED_SLICES,
            None => SLICES,
        };
        let mut left = usize::try_from(nodes.div_ceil(slices)).unwrap_or(usize::MAX);
        let (mut after, mut count) = self.round().await?;
        let mut has_found = false;
        while left > 0 {
            let limit = left.min(AT_ONCE);
            let rows = state.local_files(namespace, None, after, limit).await?;
            let is_over = rows.len() < limit;
            left -= rows.len().min(left);
            count += rows.len() as u64;
            after = rows.last().map_or(after, |row| Some(row.node));
            for row in rows {
                has_found |= self.read_once_more(row, None).await? == Seen::OtherBytes;
            }
            if is_over {
                // The next slice begins the next round.
                (after, count, left) = (None, 0, 0);
                state.set_setting(HURRY_SETTING, None).await?;
            }
            let text = after.map(|node| format!("{} {count}", node.get()));
            state.set_setting(ROUND_SETTING, text.as_deref()).await?;
            self.status.send_modify(|status| status.reread_files = count);
        }
        Ok(has_found)
    }

    async fn round(&self) -> StateResult<(Option<NodeId>, u64)> {
        let text = self.engine.state.setting(ROUND_SETTING).await?;
        let parsed = text.as_deref().and_then(|text| {
            let (node, count) = text.split_once(' ')?;
            Some((NodeId::new(node.parse().ok()?).ok()?, count.parse().ok()?))
        });
        Ok(parsed.map_or((None, 0), |(node, count)| (Some(node), count)))
    }
}
