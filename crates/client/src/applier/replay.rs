//! After a crash.

use std::collections::BTreeSet;

use super::stage_names::{Unjudged, name_before};
use super::step::{Action, Item, Step};
use super::{Applier, ApplyError, ApplyResult};
use crate::fs::DiskPath;
use crate::state::inbox::Displaced;
use crate::state::{Intent, StateBatch};

/// Staged names that begin so are the downloader's, also across restarts.
pub const PARTIAL_PREFIX: &str = "part-";
/// The name of what is found when nothing tells how it was called.
const NAMELESS: &str = "recovered file";

impl Applier {
    /// Finishes or undoes what a crash, or an error, left half done, and empties the stage except for partial downloads
    /// and what waits for a second look: what nobody has looked at goes back, whatever else lies there goes to the trash.
    /// Call it before the first step and after a plan that failed; no other step may run meanwhile.
    ///
    /// # Errors
    /// As the filesystem and the state say; what is left is tried again at the next call.
    pub async fn recover(&self) -> ApplyResult<()> {
        for intent in self.state.intents(self.namespace).await? {
            self.replay(&intent).await?;
        }
        self.clear_stage().await
    }

    /// Moves to the trash what nobody wants any more and an error left in the stage. No step may run meanwhile.
    ///
    /// # Errors
    /// As the filesystem and the state say; what is left is tried again at the next call.
    pub(crate) async fn clear_stage(&self) -> ApplyResult<()> {
        let names = self.on_disk(|fs| fs.staged_names()).await?;
        let strangers: BTreeSet<String> = names
            .into_iter()
            .filter(|name| !name.starts_with(PARTIAL_PREFIX))
            .collect();
        if strangers.is_empty() || !self.state.intents(self.namespace).await?.is_empty() {
            return Ok(());
        }
        let waiting = self.state.displaced(self.namespace, usize::MAX).await?;
        let mut known = BTreeSet::new();
        for Displaced { staged: kept, .. } in waiting {
            if let Some(before) = name_before(&kept).filter(|before| strangers.contains(before)) {
                // That it was renamed was forgotten with the power.
                let (from, to) = (before.clone(), kept.clone());
                self.on_disk(move |fs| fs.restage(&from, &to)).await?;
                known.insert(before);
            }
            known.insert(kept);
        }
        for staged in strangers.into_iter().filter(|staged| !known.contains(staged)) {
            match Unjudged::parse(&staged) {
                Some(unjudged) => self.judge(staged, unjudged).await?,
                None => self.on_disk(move |fs| fs.trash(&staged)).await?,
            }
        }
        Ok(())
    }

    /// What a crash left between the stage and its place, of which no intent tells: the device's state was set back. It is
    /// the server's, and can be had again, or it stays as a conflicted copy where it was, for the next scan to find.
    async fn judge(&self, staged: String, unjudged: Unjudged) -> ApplyResult<()> {
        let Some(found) = self.look_staged(&staged).await? else {
            return Ok(());
        };
        if unjudged.is_incoming(&found.fingerprint) {
            return Ok(self.on_disk(move |fs| fs.unstage(&staged)).await?);
        }
        let names = self.state.disk_path(self.namespace, unjudged.node).await?;
        let at = names.filter(|names| !names.is_empty());
        let at = at.unwrap_or_else(|| vec![NAMELESS.to_owned()]);
        self.keep_conflicted(&staged, &DiskPath::from_names(at)).await?;
        Ok(())
    }

    async fn replay(&self, intent: &Intent) -> ApplyResult<()> {
        let Some(step) = Step::decode(&intent.step) else {
            // Whatever it was about is kept.
            if self.look_staged(&intent.staged).await?.is_some() {
                let staged = intent.staged.clone();
                self.on_disk(move |fs| fs.trash(&staged)).await?;
            }
            return self.drop_intent(&intent.staged).await;
        };
        if step.action == Action::Place {
            return self.replay_placing(intent, &step).await;
        }
        for item in &step.items {
            // A row must not say more than a second crash would leave.
            self.settle(item).await?;
        }
        for item in &step.items {
            let replayed = match step.action {
                Action::Place => Ok(()),
                Action::Replace => self.finish_replace(item).await,
                Action::Remove => self.finish_remove(item).await,
                Action::Swap => self.finish_swap(item).await,
                Action::TakeAway => self.finish_taking_away(item).await,
                Action::Move => self.finish_move(item).await,
            };
            match replayed {
                // It was put back; the next scan sees what it is now.
                Ok(()) | Err(ApplyError::Changed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends what was interrupted between the two names of an item. Says whether the exchange fell apart: the place was free
    /// for a moment, and somebody took it, or removed its folder.
    ///
    /// Then what was displaced goes back, beside whoever has its place now, and nothing was done: who moves something to a
    /// free path takes nothing away, so neither version may go.
    pub(super) async fn settle(&self, item: &Item) -> ApplyResult<bool> {
        let (staged, path) = (item.staged.clone(), item.path());
        let apart = self.on_disk(move |fs| fs.settle(&staged, &path)).await?;
        let Some(displaced) = apart else {
            return Ok(false);
        };
        self.put_back(&displaced, &item.path()).await?;
        Ok(true)
    }

    /// What is at its place gets its row; what is still staged is the server's and can be had again.
    async fn replay_placing(&self, intent: &Intent, step: &Step) -> ApplyResult<()> {
        let mut batch = StateBatch {
            done_intents: vec![intent.staged.clone()],
            ..StateBatch::default()
        };
        for item in &step.items {
            let (Some(node), Some(incoming)) = (item.node(), item.incoming()) else {
                return Err(ApplyError::UnknownIntent {
                    staged: item.staged.clone(),
                });
            };
            let is_reached = self.settle_or_let_go(item).await?;
            if !is_reached || self.state.local(self.namespace, node).await?.is_some() {
                continue;
            }
            let found = self.look(&item.path()).await?;
            if found.is_some_and(|found| found.fingerprint.is_same_file(&incoming)) {
                self.add_placed(&mut batch, item).await?;
            } else if self
                .look_staged(&item.staged)
                .await?
                .is_some_and(|found| found.fingerprint.is_same_file(&incoming))
            {
                let staged = item.staged.clone();
                self.on_disk(move |fs| fs.unstage(&staged)).await?;
            }
        }
        self.write(batch).await
    }
}
