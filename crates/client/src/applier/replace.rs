//! New content at a place that has some.

use std::io;

use cairn_core::conflict;
use cairn_core::ids::NodeId;
use cairn_core::name::NodeName;
use cairn_core::time::Date;
use cairn_core::tree::{Entry, Substance};

use super::record::local_entry;
use super::step::{Action, Item, Step};
use super::{Applier, ApplyError, ApplyResult, Keep};
use crate::fs::{DiskPath, Fingerprint, FsError, FsResult, Metadata};
use crate::scanner::may_hide_a_write;
use crate::scanner::reread::{Reread, reread};
use crate::state::inbox::{AgreedVersion, ConflictReason, ConflictRow};
use crate::state::{LocalChange, LocalRow, StateBatch};

/// How many numbers are tried for a name beside another.
const NUMBERED_NAMES: u32 = 1_000;
/// Bytes of a conflicted copy's name where the disk cannot hold its whole one: a disk that encrypts names holds 143.
const SHORT_NAME_BYTES: usize = 120;
/// Characters of a device's name in such a name.
const SHORT_DEVICE_CHARS: usize = 8;

impl Applier {
    /// Replaces a file by a staged one. The displaced version goes to the trash, or stays as the node and under the name
    /// that `keep` says. One that changed in the last moment stays as a conflicted copy in any case.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] when the file is not what the local tree says; the staged file stays.
    pub async fn replace_file(
        &self,
        node: NodeId,
        entry: &Entry,
        staged: &str,
        keep: Option<Keep>,
    ) -> ApplyResult<()> {
        let (row, path) = self.local(node).await?;
        self.check_unchanged(&row, &path).await?;
        let Some(incoming) = self.look_staged(staged).await? else {
            return Err(ApplyError::NotStaged {
                staged: staged.to_owned(),
            });
        };
        let names = self.names_for(node, Some(&incoming.fingerprint));
        let item = Item::new(&names.swap, node, &path)
            .with_incoming(&incoming.fingerprint, entry)
            .with_expected(&row.fingerprint)
            .with_keep(keep.as_ref())
            .with_name_before(staged)
            .with_held(names.kept);
        let step = Step {
            action: Action::Replace,
            items: vec![item],
        };
        self.intend(&names.swap, node, &step).await?;
        match self.swap_under_own_name(&step.items[0]).await {
            Ok(()) => self.finish_replace(&step.items[0]).await,
            Err(error) => {
                // It may or may not have happened.
                let is_apart = self.settle(&step.items[0]).await?;
                if error.is_not_found() && !is_apart {
                    self.undo_name(&step.items[0]).await?;
                    self.drop_intent(&names.swap).await?;
                    return Err(ApplyError::Changed { path });
                }
                self.finish_replace(&step.items[0]).await?;
                Err(error.into())
            }
        }
    }

    /// Swaps the staged file with what is at its path. What that displaces may be the only copy of somebody's bytes, and must
    /// not stand under a name that a download may have again.
    pub(super) async fn swap_under_own_name(&self, item: &Item) -> FsResult<()> {
        let (was, staged, at) = (
            item.was().map(ToOwned::to_owned),
            item.staged.clone(),
            item.path(),
        );
        self.on_disk(move |fs| {
            if let Some(was) = was {
                fs.restage(&was, &staged)?;
            }
            fs.exchange(&staged, &at)
        })
        .await
    }

    /// Gives a staged file that was not swapped the name back that its owner knows.
    async fn undo_name(&self, item: &Item) -> ApplyResult<()> {
        let (Some(was), Some(_)) = (item.was(), self.look_staged(&item.staged).await?) else {
            return Ok(());
        };
        let (staged, was) = (item.staged.clone(), was.to_owned());
        Ok(self.on_disk(move |fs| fs.restage(&staged, &was)).await?)
    }

    /// Replaces a link by another.
    ///
    /// # Errors
    /// As [`Self::replace_file`].
    pub async fn replace_link(&self, node: NodeId, entry: &Entry, keep: Option<Keep>) -> ApplyResult<()> {
        let staged = self.stage_link(entry).await?;
        let replaced = self.replace_file(node, entry, &staged, keep).await;
        if matches!(
            replaced,
            Err(ApplyError::Changed { .. } | ApplyError::NotLocal { .. })
        ) {
            self.on_disk(move |fs| fs.unstage(&staged)).await?;
        }
        replaced
    }

    /// Checks that a file is in the state that was scanned, beyond doubt: where its times cannot tell it is read.
    pub(super) async fn check_unchanged(&self, row: &LocalRow, path: &DiskPath) -> ApplyResult<()> {
        let found = self.look(path).await?;
        let is_as_scanned = found.is_some_and(|found| found.fingerprint == row.fingerprint);
        let must_read = may_hide_a_write(row, self.runtime.clock.now(), self.fs.timestamp_step_ns());
        if is_as_scanned && (!must_read || self.holds_the_same(row, path).await?) {
            Ok(())
        } else {
            Err(ApplyError::Changed { path: path.clone() })
        }
    }

    /// Whether a file's bytes are still those that are remembered of it.
    async fn holds_the_same(&self, row: &LocalRow, path: &DiskPath) -> ApplyResult<bool> {
        let read = reread(&self.runtime, &self.fs, &*self.state, path.clone(), row).await?;
        Ok(matches!(read, Reread::Same))
    }

    /// Ends a replacement wherever it stands: before the swap it is undone, after it it is finished.
    pub(super) async fn finish_replace(&self, item: &Item) -> ApplyResult<()> {
        let (Some(node), Some(entry), Some(incoming), Some(expected)) =
            (item.node(), item.entry(), item.incoming(), item.expected())
        else {
            return Err(ApplyError::UnknownIntent {
                staged: item.staged.clone(),
            });
        };
        let (standing, displaced) = self.look_displaced(item).await?;
        if displaced.is_some_and(|found| found.fingerprint.is_same_file(&incoming)) {
            let staged = item.staged.clone();
            self.on_disk(move |fs| fs.unstage(&staged)).await?;
            return self.drop_intent(&item.staged).await;
        }
        let path = item.path();
        if displaced.is_none() && self.was_forgotten(item).await? {
            return self.drop_intent(&item.staged).await;
        }
        let was_swapped = displaced.is_some_and(|found| found.fingerprint.is_same_state(&expected));
        if !was_swapped && !self.is_at(&path, &incoming).await? {
            return self
                .leave_undecided(item, node, displaced.map(|_| standing))
                .await;
        }
        let old = self.state.local(self.namespace, node).await?;
        let synced = self.state.synced(self.namespace, node).await?;
        let mut batch = StateBatch {
            done_intents: vec![item.staged.clone()],
            ..StateBatch::default()
        };
        if let Some(displaced) = displaced {
            let is_expected = displaced.fingerprint.is_same_state(&expected);
            match (is_expected, item.keep(), &old) {
                (true, Some((kept, name)), Some(old)) => {
                    let (name, at) = self.place_beside(standing, &path, name).await?;
                    batch.conflicts.push(self.conflict(kept, node, synced.as_ref()));
                    let mut entry = local_entry(&old.entry);
                    entry.place.name = name;
                    batch.local.push(LocalChange::Put(LocalRow {
                        node: kept,
                        entry,
                        disk_name: None,
                        fingerprint: self.standing(&at, expected).await?.fingerprint,
                        // The move has set the change time, so a write since the look that set the others back is to be
                        // found by its bytes.
                        is_unsure: true,
                    }));
                }
                (true, _, _) => {
                    self.hold(&mut batch, item, standing, old.as_ref(), synced.as_ref())
                        .await?;
                }
                // Somebody wrote to it between the look and the swap: theirs stays, for the next scan to find.
                (false, _, _) => {
                    self.keep_conflicted(standing, &path).await?;
                }
            }
        }
        let mut row = self.placed_row(node, &entry, self.standing(&path, incoming).await?);
        if let Some(old) = old {
            // The place is another step's affair.
            row.entry.place = old.entry.place;
            row.disk_name = old.disk_name;
        }
        self.add_row(&mut batch, row, Some(&entry)).await?;
        self.write(batch).await
    }

    async fn is_at(&self, path: &DiskPath, known: &Fingerprint) -> ApplyResult<bool> {
        let found = self.look(path).await?;
        Ok(found.is_some_and(|found| found.fingerprint.is_same_file(known)))
    }

    /// Ends a replacement of which nothing tells whether it was made: neither is the server's file at the path nor what it was to
    /// displace in the stage, as where a disk numbers its files anew when it is mounted. Were it taken for made, the old bytes at
    /// the path would be sent as an edit of the server's version. So what is staged stays beside, and what both sides had agreed
    /// on stays as it was.
    async fn leave_undecided(&self, item: &Item, node: NodeId, standing: Option<&str>) -> ApplyResult<()> {
        if let Some(standing) = standing {
            self.keep_conflicted(standing, &item.path()).await?;
        }
        let mut batch = StateBatch {
            done_intents: vec![item.staged.clone()],
            ..StateBatch::default()
        };
        if let Some(mut row) = self.state.local(self.namespace, node).await? {
            row.is_unsure = matches!(row.entry.substance, Substance::File { .. });
            batch.local.push(LocalChange::Put(row));
        }
        self.write(batch).await
    }

    /// Whether a loss of power took the name of what was to be swapped before the swap: that name is not durable until then.
    async fn was_forgotten(&self, item: &Item) -> ApplyResult<bool> {
        let is = |found: Option<Metadata>, known: Option<Fingerprint>| {
            found
                .zip(known)
                .is_some_and(|(found, known)| found.fingerprint.is_same_file(&known))
        };
        if let Some(was) = item.was()
            && is(self.look_staged(was).await?, item.incoming())
        {
            return Ok(true);
        }
        Ok(is(self.look(&item.path()).await?, item.expected()))
    }

    /// What an item displaced, and the name under which it stands in the stage.
    pub(super) async fn look_displaced<'i>(
        &self,
        item: &'i Item,
    ) -> ApplyResult<(&'i str, Option<Metadata>)> {
        let displaced = self.look_staged(&item.staged).await?;
        match (displaced, item.held()) {
            (None, Some(held)) => Ok((held, self.look_staged(held).await?)),
            (displaced, _) => Ok((&item.staged, displaced)),
        }
    }

    /// The row of a copy that is made now of a node that both sides changed.
    fn conflict(&self, copy: NodeId, original: NodeId, synced: Option<&Entry>) -> ConflictRow {
        let base = synced.and_then(|synced| match synced.substance {
            Substance::File { file_id, size } => Some(AgreedVersion {
                content_seq: synced.content_seq,
                file_id,
                size,
            }),
            _ => None,
        });
        let reason = match base {
            Some(_) => ConflictReason::BothEdited,
            None => ConflictReason::BothCreated,
        };
        ConflictRow {
            copy,
            original,
            base,
            at: self.runtime.clock.now(),
            reason,
        }
    }

    pub(super) async fn trash(&self, staged: &str, path: &DiskPath) -> ApplyResult<()> {
        let staged = staged.to_owned();
        let name = path.name().unwrap_or(&staged).to_owned();
        Ok(self.on_disk(move |fs| fs.trash_as(&staged, &name)).await?)
    }

    /// Puts something staged beside the path that it had, as a conflicted copy.
    pub(super) async fn keep_conflicted(&self, staged: &str, path: &DiskPath) -> ApplyResult<DiskPath> {
        let name = NodeName::new(path.name().unwrap_or(staged)).map_err(|_| ApplyError::UnknownIntent {
            staged: staged.to_owned(),
        })?;
        let (_, at) = self.place_beside(staged, path, self.conflict_name(&name)).await?;
        Ok(at)
    }

    /// Puts something staged into the folder that holds `path`, numbered when the name is taken; into the root when that
    /// folder is gone, and under a short name when the disk cannot hold the one that is wanted.
    async fn place_beside(
        &self,
        staged: &str,
        path: &DiskPath,
        mut wanted: NodeName,
    ) -> Result<(NodeName, DiskPath), FsError> {
        let mut short = self.short_conflict_name(path);
        let mut folder = path.parent().unwrap_or_default();
        let mut number = 1;
        loop {
            let name = match number {
                1 => wanted.with_suffix(""),
                _ => wanted.with_suffix(&format!(" ({number})")),
            };
            let at = folder.join(name.as_str());
            let (source, target) = (staged.to_owned(), at.clone());
            match self.on_disk(move |fs| fs.place(&source, &target)).await {
                Ok(()) => return Ok((name, at)),
                Err(error) if error.is_already_exists() && number < NUMBERED_NAMES => number += 1,
                Err(error) if error.is_not_found() && !folder.names().is_empty() => {
                    folder = DiskPath::root();
                }
                Err(error) => match short.take() {
                    Some(short) if is_no_name(&error) => (wanted, number) = (short, 1),
                    _ => return Err(error),
                },
            }
        }
    }

    /// The name of a conflicted copy of what has a path, made now, for a disk that cannot hold its whole one.
    fn short_conflict_name(&self, path: &DiskPath) -> Option<NodeName> {
        let name = conflict::original(&NodeName::new(path.name()?).ok()?);
        let device: String = self.device_name.chars().take(SHORT_DEVICE_CHARS).collect();
        let date = Date::of(self.runtime.clock.now());
        let suffix = format!(" ({})", conflict::label(&device, date));
        Some(name.with_suffix_within(&suffix, SHORT_NAME_BYTES))
    }
}

/// Whether the disk cannot hold a name.
fn is_no_name(error: &FsError) -> bool {
    let kind = error.source.kind();
    matches!(kind, io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput)
}
