//! What the user decides about two versions: an ordinary change of the disk, which the next scan sees.

use cairn_core::ids::NodeId;

use super::step::{Action, Item, Step};
use super::{Applier, ApplyError, ApplyResult};
use crate::fs::{DiskPath, Fingerprint};
use crate::state::StateBatch;

/// A file: its node, its path and the state in which it must be.
type Target<'a> = (NodeId, &'a DiskPath, Fingerprint);

impl Applier {
    /// Puts a staged file in the place of another. What was displaced waits for a second look; if it is not in the state
    /// that is said, it stays as a conflicted copy.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] when the target is not in that state beforehand; the staged file is removed.
    pub(crate) async fn swap_in(&self, (node, path, expected): Target<'_>, staged: &str) -> ApplyResult<()> {
        let Some(incoming) = self.look_staged(staged).await? else {
            return Err(ApplyError::NotStaged {
                staged: staged.to_owned(),
            });
        };
        let names = self.names_for(node, Some(&incoming.fingerprint));
        let item = Item::new(&names.swap, node, path)
            .with_incoming_state(&incoming.fingerprint)
            .with_expected(&expected)
            .with_name_before(staged)
            .with_held(names.kept);
        let step = Step {
            action: Action::Swap,
            items: vec![item],
        };
        self.intend(&names.swap, node, &step).await?;
        self.swap(&step.items[0]).await
    }

    /// Puts one file in the place of another, its own place becoming free.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] when one of them is not in the state that is said; both are where they were.
    pub(crate) async fn swap_with(
        &self,
        (node, path, expected): Target<'_>,
        (from, incoming): (&DiskPath, Fingerprint),
    ) -> ApplyResult<()> {
        // Both are the user's.
        let names = self.names_for(node, None);
        let staged = names.swap;
        let item = Item::new(&staged, node, path)
            .with_incoming_state(&incoming)
            .with_expected(&expected)
            .with_held(names.kept)
            .with_back(from);
        let step = Step {
            action: Action::Swap,
            items: vec![item],
        };
        self.intend(&staged, node, &step).await?;
        let (source, target) = (from.clone(), staged.clone());
        let moved = self.on_disk(move |fs| fs.displace(&source, &target)).await;
        let found = self.look_staged(&staged).await?;
        let is_as_said = found.is_some_and(|found| found.fingerprint.is_same_state(&incoming));
        if moved.is_err() || !is_as_said {
            self.finish_swap(&step.items[0]).await?;
            moved?;
            return Err(ApplyError::Changed { path: from.clone() });
        }
        self.swap(&step.items[0]).await
    }

    async fn swap(&self, item: &Item) -> ApplyResult<()> {
        let path = item.path();
        let found = self.look(&path).await?;
        let is_as_said = found
            .zip(item.expected())
            .is_some_and(|(found, expected)| found.fingerprint.is_same_state(&expected));
        if !is_as_said {
            self.finish_swap(item).await?;
            return Err(ApplyError::Changed { path });
        }
        let swapped = self.swap_under_own_name(item).await;
        let is_apart = swapped.is_err() && self.settle(item).await?;
        self.finish_swap(item).await?;
        if is_apart {
            return Err(ApplyError::Changed { path });
        }
        Ok(swapped?)
    }

    /// Ends a swap wherever it stands: before it it is undone, after it what was displaced is kept.
    pub(super) async fn finish_swap(&self, item: &Item) -> ApplyResult<()> {
        let (Some(node), Some(incoming), Some(expected)) = (item.node(), item.incoming(), item.expected())
        else {
            return Err(ApplyError::UnknownIntent {
                staged: item.staged.clone(),
            });
        };
        let mut batch = StateBatch {
            done_intents: vec![item.staged.clone()],
            ..StateBatch::default()
        };
        let (standing, displaced) = self.look_displaced(item).await?;
        match (displaced, item.back()) {
            (None, _) => {
                if let Some(was) = item.was().map(ToOwned::to_owned) {
                    self.on_disk(move |fs| fs.unstage(&was)).await?;
                }
            }
            (Some(found), Some(back)) if found.fingerprint.is_same_file(&incoming) => {
                self.put_back(standing, &back).await?;
            }
            (Some(found), None) if found.fingerprint.is_same_file(&incoming) => {
                let staged = standing.to_owned();
                self.on_disk(move |fs| fs.unstage(&staged)).await?;
            }
            (Some(found), _) if found.fingerprint.is_same_state(&expected) => {
                let old = self.state.local(self.namespace, node).await?;
                let synced = self.state.synced(self.namespace, node).await?;
                self.hold(&mut batch, item, standing, old.as_ref(), synced.as_ref())
                    .await?;
            }
            // Somebody wrote to it in the last moment.
            (Some(_), _) => {
                self.keep_conflicted(standing, &item.path()).await?;
            }
        }
        self.write(batch).await
    }

    /// Takes a file out of the folder; it waits for a second look and goes to the trash.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] when it is not in the state that is said; it is where it was.
    pub(crate) async fn take_away(
        &self,
        node: NodeId,
        path: &DiskPath,
        expected: Fingerprint,
    ) -> ApplyResult<()> {
        let names = self.names_for(node, None);
        let staged = names.swap;
        let item = Item::new(&staged, node, path)
            .with_expected(&expected)
            .with_held(names.kept);
        let step = Step {
            action: Action::TakeAway,
            items: vec![item],
        };
        self.intend(&staged, node, &step).await?;
        let (from, to) = (path.clone(), staged);
        let moved = self.on_disk(move |fs| fs.displace(&from, &to)).await;
        let finished = self.finish_taking_away(&step.items[0]).await;
        match moved {
            Err(error) if error.is_not_found() => Err(ApplyError::Changed { path: path.clone() }),
            Err(error) => Err(error.into()),
            Ok(()) => finished,
        }
    }

    /// Ends a taking away wherever it stands.
    pub(super) async fn finish_taking_away(&self, item: &Item) -> ApplyResult<()> {
        let (Some(node), Some(expected)) = (item.node(), item.expected()) else {
            return Err(ApplyError::UnknownIntent {
                staged: item.staged.clone(),
            });
        };
        let mut batch = StateBatch {
            done_intents: vec![item.staged.clone()],
            ..StateBatch::default()
        };
        let (standing, displaced) = self.look_displaced(item).await?;
        match displaced {
            None => self.write(batch).await,
            Some(found) if found.fingerprint.is_same_state(&expected) => {
                let old = self.state.local(self.namespace, node).await?;
                let synced = self.state.synced(self.namespace, node).await?;
                self.hold(&mut batch, item, standing, old.as_ref(), synced.as_ref())
                    .await?;
                self.write(batch).await
            }
            Some(_) => {
                let path = item.path();
                self.put_back(standing, &path).await?;
                self.write(batch).await?;
                Err(ApplyError::Changed { path })
            }
        }
    }
}
