//! Deletions.

use cairn_core::ids::NodeId;
use cairn_core::tree::Substance;

use super::step::{Action, Item, Step};
use super::{Applier, ApplyError, ApplyResult};
use crate::fs::{DirectoryEntry, DiskPath};
use crate::scanner::is_junk;
use crate::state::{LocalChange, LocalRow, StateBatch, TreeChange};

impl Applier {
    /// Removes a node: a file or link goes to the trash, a folder goes when nothing but systems' notes is in it.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] when a file is not what the local tree says, [`ApplyError::NotEmpty`] for a folder.
    pub async fn remove(&self, node: NodeId) -> ApplyResult<()> {
        let (row, path) = match self.local(node).await {
            Ok(found) => found,
            Err(ApplyError::NotLocal { .. }) => return self.record_removal(node, Vec::new()).await,
            Err(error) => return Err(error),
        };
        match row.entry.substance {
            Substance::Directory => self.remove_folder(&row, &path).await,
            Substance::File { .. } | Substance::Symlink(_) => self.remove_file(&row, &path).await,
        }
    }

    async fn record_removal(&self, node: NodeId, done_intents: Vec<String>) -> ApplyResult<()> {
        self.write(removal(node, done_intents)).await
    }

    async fn remove_file(&self, row: &LocalRow, path: &DiskPath) -> ApplyResult<()> {
        if self.look(path).await?.is_none() {
            return self.record_removal(row.node, Vec::new()).await;
        }
        self.check_unchanged(row, path).await?;
        let names = self.names_for(row.node, None);
        let staged = names.swap;
        let item = Item::new(&staged, row.node, path)
            .with_expected(&row.fingerprint)
            .with_held(names.kept);
        let step = Step {
            action: Action::Remove,
            items: vec![item],
        };
        self.intend(&staged, row.node, &step).await?;
        let (from, to) = (path.clone(), staged.clone());
        let moved = self.on_disk(move |fs| fs.displace(&from, &to)).await;
        if moved.as_ref().is_err_and(|error| !error.is_not_found()) {
            // It may or may not have happened.
            let (name, at) = (staged, path.clone());
            self.on_disk(move |fs| fs.settle(&name, &at)).await?;
        }
        let finished = self.finish_remove(&step.items[0]).await;
        match moved {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => finished,
        }
    }

    /// Ends a removal wherever it stands.
    pub(super) async fn finish_remove(&self, item: &Item) -> ApplyResult<()> {
        let (Some(node), Some(expected)) = (item.node(), item.expected()) else {
            return Err(ApplyError::UnknownIntent {
                staged: item.staged.clone(),
            });
        };
        let path = item.path();
        let (standing, displaced) = self.look_displaced(item).await?;
        match displaced {
            Some(found) if found.fingerprint.is_same_state(&expected) => {
                let old = self.state.local(self.namespace, node).await?;
                let synced = self.state.synced(self.namespace, node).await?;
                let mut batch = removal(node, vec![item.staged.clone()]);
                self.hold(&mut batch, item, standing, old.as_ref(), synced.as_ref())
                    .await?;
                self.write(batch).await
            }
            Some(_) => {
                // Somebody wrote to it in the last moment: it goes back.
                self.put_back(standing, &path).await?;
                self.drop_intent(&item.staged).await?;
                Err(ApplyError::Changed { path })
            }
            None => match self.look(&path).await? {
                Some(found) if found.fingerprint.is_same_file(&expected) => {
                    self.drop_intent(&item.staged).await?;
                    Err(ApplyError::Changed { path })
                }
                _ => self.record_removal(node, vec![item.staged.clone()]).await,
            },
        }
    }

    /// Puts something staged where it was, or beside it when the place is taken.
    pub(super) async fn put_back(&self, staged: &str, path: &DiskPath) -> ApplyResult<()> {
        let (name, at) = (staged.to_owned(), path.clone());
        match self.on_disk(move |fs| fs.place(&name, &at)).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_already_exists() || error.is_not_found() => {
                self.keep_conflicted(staged, path).await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn remove_folder(&self, row: &LocalRow, path: &DiskPath) -> ApplyResult<()> {
        let at = path.clone();
        let entries = match self.on_disk(move |fs| fs.list(&at)).await {
            Ok(entries) => entries,
            Err(error) if error.is_not_found() => return self.record_removal(row.node, Vec::new()).await,
            Err(error) => return Err(error.into()),
        };
        let not_empty = || ApplyError::NotEmpty { path: path.clone() };
        let mut junk = Vec::new();
        for entry in entries {
            match entry {
                DirectoryEntry::Named { name, .. } if is_junk(&name) => junk.push(name),
                _ => return Err(not_empty()),
            }
        }
        if !self
            .state
            .local_children(self.namespace, row.node)
            .await?
            .is_empty()
        {
            return Err(not_empty());
        }
        for name in junk {
            let (staged, at) = (self.fresh_staged_name("junk"), path.join(&name));
            self.on_disk(move |fs| {
                fs.displace(&at, &staged)?;
                fs.trash_as(&staged, &name)
            })
            .await?;
        }
        let at = path.clone();
        match self.on_disk(move |fs| fs.remove_directory(&at)).await {
            Err(error) if error.is_already_exists() => Err(not_empty()),
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => self.record_removal(row.node, Vec::new()).await,
        }
    }
}

/// What is remembered of a node that is gone from the disk because the server has it no more.
fn removal(node: NodeId, done_intents: Vec<String>) -> StateBatch {
    StateBatch {
        local: vec![LocalChange::Remove(node)],
        synced: vec![TreeChange::RemoveNode(node)],
        done_intents,
        ..StateBatch::default()
    }
}
