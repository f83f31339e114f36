//! Compares this disk with the server by the hashes of folders.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cairn_api::sync::{HashedChild, HashedContent, TreeHashReply, TreeHashRequest};
use cairn_core::ids::{FileId, NodeId, TreeHash};
use cairn_core::limits;
use cairn_core::name::NodeName;
use cairn_core::rev::Seq;
use cairn_core::tree::{Substance, agree};
use cairn_core::tree_hash::folder_hash;

use super::{Daemon, DaemonError};
use crate::fs::{DirectoryEntry, DiskPath};
use crate::reason::Reason;
use crate::scanner::reread::Reread;
use crate::state::{LocalRow, StateResult};
use crate::verify::VerifyReport;

/// What a name stands for here and on the server.
type Pair = (Option<(NodeId, HashedContent)>, Option<HashedChild>);

/// What reading the disk told that the state does not know.
type Silent = HashMap<NodeId, (FileId, u64)>;

/// One child of a folder on this disk.
type Child = (NodeName, NodeId, HashedContent);

/// What the comparison knows of this disk's folders.
#[derive(Default)]
struct Hashed {
    folders: HashMap<NodeId, TreeHash>,
    /// Folders of the server that are not kept here, by the folder above: they count as they are there.
    withheld: HashMap<NodeId, Vec<Child>>,
    silent: Silent,
}

impl Daemon {
    /// Compares what is below `folder` (names from the synced folder down) with the server. Reads every file again unless
    /// `is_quick`; syncs nothing.
    ///
    /// # Errors
    /// [`DaemonError`] when the server or the state cannot be asked.
    pub async fn verify(&self, folder: &str, is_quick: bool) -> Result<VerifyReport, DaemonError> {
        let names: Vec<String> = folder
            .split('/')
            .filter(|name| !name.is_empty() && *name != ".")
            .map(str::to_owned)
            .collect();
        let mut report = VerifyReport::default();
        let top = if names.is_empty() {
            NodeId::ROOT
        } else {
            let row = self.engine.state.local_at(self.engine.namespace, &names).await?;
            match row.filter(|row| row.entry.is_directory()) {
                Some(row) => row.node,
                None => {
                    return Err(DaemonError::NoFolder {
                        path: names.join("/"),
                    });
                }
            }
        };
        let mut hashed = Hashed::default();
        if !is_quick {
            hashed.silent = self.read_disk(top, &names, &mut report).await?;
        }
        // From here on both sides stand still as far as this device is concerned.
        let _pass = self.pass.lock().await;
        self.engine.catch_up().await?;
        let cursor = self.engine.state.cursor(self.engine.namespace).await?;
        let at = cursor.map_or(Seq::ZERO, |cursor| cursor.seq);
        report.seq = at.get();
        self.find_withheld(at, &mut hashed).await?;
        let hash = self.hash_here(top, &mut hashed, &mut report).await?;
        let server = self.hash_there(top, at).await?;
        report.hash = hash.to_string();
        report.server_hash = server.to_string();
        if hash != server {
            self.walk_down(top, names, at, &hashed, &mut report).await?;
        }
        Ok(report)
    }

    /// Reads all files below a folder, and lists what no scan has seen.
    async fn read_disk(
        &self,
        top: NodeId,
        names: &[String],
        report: &mut VerifyReport,
    ) -> Result<Silent, DaemonError> {
        let mut silent = Silent::new();
        let mut folders = vec![(top, DiskPath::from_names(names.to_vec()))];
        while let Some((node, path)) = folders.pop() {
            let rows = self.children_here(node).await?;
            self.list_unknown(&path, &rows, report).await;
            for row in rows {
                let path = path.join(row.name_on_disk());
                match &row.entry.substance {
                    Substance::Directory => folders.push((row.node, path)),
                    Substance::Symlink(_) => {}
                    Substance::File { .. } => {
                        report.read += 1;
                        let shown = path.to_string();
                        match self.scanner.reread(path, &row).await? {
                            Reread::Same => {}
                            Reread::Silent(content) | Reread::Older(content, _) => {
                                silent.insert(row.node, (content.file_id, content.size));
                            }
                            Reread::TakenBack(..) | Reread::Changed | Reread::Gone => {
                                report.wait_for(shown, Reason::NotScanned.code());
                            }
                            Reread::Unreadable => report.wait_for(shown, Reason::Unreadable.code()),
                        }
                    }
                }
            }
        }
        Ok(silent)
    }

    async fn list_unknown(&self, folder: &DiskPath, rows: &[LocalRow], report: &mut VerifyReport) {
        let (fs, path) = (Arc::clone(&self.engine.fs), folder.clone());
        let Ok(entries) = self.runtime.blocking(move || fs.list(&path)).await else {
            report.wait_for(folder.to_string(), Reason::Unreadable.code());
            return;
        };
        for entry in entries {
            let DirectoryEntry::Named { name, .. } = entry else {
                continue;
            };
            if rows.iter().any(|row| row.name_on_disk() == name) {
                continue;
            }
            let path = folder.join(&name);
            match self.scanner.ignored_by(&path).await {
                Ok(Some(_)) => report.ignore(path.to_string()),
                _ => report.wait_for(path.to_string(), Reason::NotScanned.code()),
            }
        }
    }

    async fn children_here(&self, folder: NodeId) -> StateResult<Vec<LocalRow>> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        state.local_children(namespace, folder).await
    }

    /// Asks for the hashes of the folders that this device does not keep.
    async fn find_withheld(&self, at: Seq, hashed: &mut Hashed) -> Result<(), DaemonError> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        for (node, _) in state.excluded(namespace).await? {
            let Some(entry) = state.remote(namespace, node).await? else {
                continue;
            };
            let hash = self.hash_there(node, at).await?;
            let child = (entry.place.name, node, HashedContent::Folder { hash });
            hashed.withheld.entry(entry.place.parent).or_default().push(child);
        }
        Ok(())
    }

    /// Hashes a folder of this disk, those below it first.
    async fn hash_here(
        &self,
        top: NodeId,
        hashed: &mut Hashed,
        report: &mut VerifyReport,
    ) -> Result<TreeHash, DaemonError> {
        let mut open = vec![(top, false)];
        while let Some((folder, is_ready)) = open.pop() {
            if is_ready {
                let children = self.children_hashed(folder, hashed).await?;
                for (_, _, content) in &children {
                    match content {
                        HashedContent::Folder { .. } => report.folders += 1,
                        HashedContent::File { size, .. } => {
                            report.files += 1;
                            report.bytes += size;
                        }
                        HashedContent::Symlink { .. } => report.files += 1,
                    }
                }
                let mut records: Vec<_> = children
                    .iter()
                    .map(|(name, _, content)| (name.clone(), content.as_child()))
                    .collect();
                let hash = folder_hash(&mut records);
                hashed.folders.insert(folder, hash);
                continue;
            }
            open.push((folder, true));
            let rows = self.children_here(folder).await?;
            let folders = rows.iter().filter(|row| row.entry.is_directory());
            open.extend(folders.map(|row| (row.node, false)));
        }
        Ok(hashed
            .folders
            .get(&top)
            .copied()
            .unwrap_or_else(|| folder_hash(&mut [])))
    }

    /// The children of a folder on this disk; the folders among them are hashed already.
    async fn children_hashed(&self, folder: NodeId, hashed: &Hashed) -> StateResult<Vec<Child>> {
        let mut children = Vec::new();
        for row in self.children_here(folder).await? {
            let content = match row.entry.substance {
                Substance::Directory => match hashed.folders.get(&row.node) {
                    Some(hash) => HashedContent::Folder { hash: *hash },
                    None => continue,
                },
                Substance::Symlink(target) => HashedContent::Symlink {
                    target: target.as_str().to_owned(),
                },
                Substance::File { file_id, size } => {
                    let (file_id, size) = hashed.silent.get(&row.node).copied().unwrap_or((file_id, size));
                    HashedContent::File {
                        file_id,
                        size,
                        executable: row.entry.attributes.executable,
                    }
                }
            };
            children.push((row.entry.place.name, row.node, content));
        }
        children.extend(hashed.withheld.get(&folder).into_iter().flatten().cloned());
        Ok(children)
    }

    async fn hash_there(&self, folder: NodeId, at: Seq) -> Result<TreeHash, DaemonError> {
        let request = self.request(folder, at);
        loop {
            match self.engine.remote.tree_hash(request.clone()).await? {
                TreeHashReply::Folder { hash } => return Ok(hash),
                TreeHashReply::Working { folders } => tracing::debug!(folders, "the server is hashing"),
                TreeHashReply::Children { .. } => return Err(DaemonError::OddAnswer),
            }
        }
    }

    fn request(&self, folder: NodeId, at: Seq) -> TreeHashRequest {
        TreeHashRequest {
            namespace: self.engine.namespace,
            folder,
            at,
            children: false,
            after: None,
            limit: limits::TREE_HASH_PAGE as u32,
        }
    }

    async fn children_there(&self, folder: NodeId, at: Seq) -> Result<Vec<HashedChild>, DaemonError> {
        let mut all: Vec<HashedChild> = Vec::new();
        loop {
            let request = TreeHashRequest {
                children: true,
                after: all.last().map(|child| child.name.clone()),
                ..self.request(folder, at)
            };
            match self.engine.remote.tree_hash(request).await? {
                TreeHashReply::Children { children, has_more } => {
                    let is_stuck = children.is_empty() && has_more;
                    all.extend(children);
                    if is_stuck {
                        return Err(DaemonError::OddAnswer);
                    }
                    if !has_more {
                        return Ok(all);
                    }
                }
                TreeHashReply::Working { .. } => {}
                TreeHashReply::Folder { .. } => return Err(DaemonError::OddAnswer),
            }
        }
    }

    /// Goes down where the hashes differ.
    async fn walk_down(
        &self,
        top: NodeId,
        names: Vec<String>,
        at: Seq,
        hashed: &Hashed,
        report: &mut VerifyReport,
    ) -> Result<(), DaemonError> {
        let mut open = vec![(top, top, DiskPath::from_names(names))];
        while let Some((here, there, path)) = open.pop() {
            let mut pairs: BTreeMap<NodeName, Pair> = BTreeMap::new();
            for (name, node, content) in self.children_hashed(here, hashed).await? {
                pairs.entry(name).or_default().0 = Some((node, content));
            }
            for child in self.children_there(there, at).await? {
                let name = child.name.clone();
                pairs.entry(name).or_default().1 = Some(child);
            }
            for (name, (mine, theirs)) in pairs {
                let below = path.join(name.as_str());
                match (&mine, &theirs) {
                    (Some((_, mine)), Some(theirs)) if *mine == theirs.content => {}
                    (Some((mine, HashedContent::Folder { .. })), Some(theirs))
                        if matches!(theirs.content, HashedContent::Folder { .. }) =>
                    {
                        open.push((*mine, theirs.node, below));
                    }
                    _ => self.judge_pair(below, mine, theirs, hashed, report).await?,
                }
            }
        }
        Ok(())
    }

    /// A difference of one name: one that waits to be synced, or one that must not be.
    async fn judge_pair(
        &self,
        path: DiskPath,
        mine: Option<(NodeId, HashedContent)>,
        theirs: Option<HashedChild>,
        hashed: &Hashed,
        report: &mut VerifyReport,
    ) -> StateResult<()> {
        let path = path.to_string();
        let is_silent = mine
            .as_ref()
            .is_some_and(|(node, _)| hashed.silent.contains_key(node));
        let nodes = [
            mine.as_ref().map(|(node, _)| *node),
            theirs.as_ref().map(|child| child.node),
        ];
        for node in nodes.into_iter().flatten() {
            if !is_silent && !self.is_settled(node).await? {
                report.wait_for(path, Reason::NotScanned.code());
                return Ok(());
            }
        }
        let here = mine.map_or_else(|| "nothing".to_owned(), |(_, content)| described(&content));
        let there = theirs.map_or_else(|| "nothing".to_owned(), |child| described(&child.content));
        report.differ(path, here, there, is_silent);
        Ok(())
    }

    async fn is_settled(&self, node: NodeId) -> StateResult<bool> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        let local = state.local(namespace, node).await?;
        let remote = state.remote(namespace, node).await?;
        let synced = state.synced(namespace, node).await?;
        Ok(agree(
            remote.as_ref(),
            local.as_ref().map(|row| &row.entry),
            synced.as_ref(),
        ))
    }
}

/// What people are told of one side.
fn described(content: &HashedContent) -> String {
    match content {
        HashedContent::Folder { hash } => format!("a folder with hash {hash}"),
        HashedContent::File {
            file_id,
            size,
            executable,
        } => {
            let bit = if *executable { ", executable" } else { "" };
            format!("a file of {size} bytes{bit}, {file_id}")
        }
        HashedContent::Symlink { target } => format!("a link to {target}"),
    }
}
