//! What was replaced or removed is looked at a second time: a program that had it open may still have written to it.
//!
//! It lies in the stage for ten minutes, with a row that says what it was. If it is still that, it goes to the root's
//! trash; else what was written becomes a conflicted copy.

use std::collections::BTreeSet;

use cairn_core::file_hasher::ChunkHasher;
use cairn_core::ids::{FileId, NodeId};
use cairn_core::node::{Attributes, NodeKind};
use cairn_core::rev::Seq;
use cairn_core::time::{Mtime, Timestamp};
use cairn_core::tree::{Entry, Substance};
use minicbor::{Decode, Encode};

use super::stage_names::name_before;
use super::step::{Item, Mark};
use super::{Applier, ApplyError, ApplyResult};
use crate::fs::{DiskPath, FileKind, Filesystem, FsResult, Metadata};
use crate::state::inbox::{AgreedVersion, ConflictReason, ConflictRow, Displaced, INBOX_ROWS};
use crate::state::{LocalChange, LocalRow, StateBatch};

/// How long something lies in the stage before it is looked at again.
pub const LOOK_AGAIN_AFTER_MS: i64 = 10 * 60 * 1_000;
/// Bytes that may wait for their second look; beyond them, and beyond [`INBOX_ROWS`] files, the oldest are looked at early.
const WAITING_BYTES: u64 = 1024 * 1024 * 1024;
/// Rows that are read at once.
const AT_ONCE: usize = 500;
/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// What is known of a displaced file.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
struct Note {
    #[n(0)]
    node: i64,
    #[n(1)]
    path: Vec<String>,
    /// The state in which it was expected.
    #[n(2)]
    expected: Mark,
    #[n(5)]
    file: (minicbor::bytes::ByteArray<32>, u64),
    #[n(6)]
    executable: bool,
    #[n(7)]
    mtime: (i64, u32),
    /// The revision that both sides had agreed on, when it was this content.
    #[n(8)]
    agreed: Option<i64>,
}

impl Note {
    fn file_id(&self) -> FileId {
        FileId::new(*self.file.0)
    }

    /// The entry of the displaced version, at a place of its own.
    fn entry(&self, parent: NodeId, name: cairn_core::name::NodeName) -> Entry {
        Entry {
            place: cairn_core::node::Place { parent, name },
            substance: Substance::File {
                file_id: self.file_id(),
                size: self.file.1,
            },
            attributes: Attributes {
                mtime: Mtime::new(self.mtime.0, self.mtime.1).unwrap_or_default(),
                executable: self.executable,
            },
            place_seq: Seq::ZERO,
            content_seq: Seq::ZERO,
        }
    }

    fn base(&self) -> Option<AgreedVersion> {
        Some(AgreedVersion {
            content_seq: Seq::new(self.agreed?)?,
            file_id: self.file_id(),
            size: self.file.1,
        })
    }
}

impl Applier {
    /// Keeps what an item displaced, which stands in the stage as `standing`, for a second look; what needs none goes to
    /// the trash.
    pub(super) async fn hold(
        &self,
        batch: &mut StateBatch,
        item: &Item,
        standing: &str,
        old: Option<&LocalRow>,
        agreed: Option<&Entry>,
    ) -> ApplyResult<()> {
        let path = item.path();
        let (Some(expected), Some(held), Some(old)) = (item.expected(), item.held(), old) else {
            return self.trash(standing, &path).await;
        };
        let Substance::File { file_id, size } = old.entry.substance else {
            return self.trash(standing, &path).await;
        };
        if standing != held {
            // A name that says that it was looked at.
            let (from, to) = (standing.to_owned(), held.to_owned());
            self.on_disk(move |fs| fs.restage(&from, &to)).await?;
        }
        let now = self.runtime.clock.now();
        let note = Note {
            node: old.node.get(),
            path: path.names().to_vec(),
            expected: (&expected).into(),
            file: ((*file_id.as_bytes()).into(), size),
            executable: old.entry.attributes.executable,
            mtime: (
                old.entry.attributes.mtime.seconds,
                old.entry.attributes.mtime.nanos,
            ),
            agreed: agreed
                .filter(|agreed| agreed.substance == old.entry.substance)
                .map(|agreed| agreed.content_seq.get()),
        };
        batch.displaced.push(Displaced {
            staged: held.to_owned(),
            since: now,
            size: expected.size,
            note: minicbor::to_vec(&note).expect("a vector takes every byte"),
        });
        Ok(())
    }

    /// Looks again at what was displaced ten minutes ago or earlier, and at the oldest of too much. Returns the copies that
    /// were made of what had been written to: their folders are to be scanned. What cannot be looked at waits for another ten
    /// minutes.
    ///
    /// # Errors
    /// As the state says; what is left is looked at by the next call.
    pub async fn look_again(&self) -> ApplyResult<Vec<DiskPath>> {
        self.look_again_at(false).await
    }

    /// The same for all that was displaced, however lately: nothing will be left to look at.
    ///
    /// # Errors
    /// As the filesystem and the state say; all that can be looked at is.
    pub async fn look_again_at_all(&self) -> ApplyResult<Vec<DiskPath>> {
        self.look_again_at(true).await
    }

    async fn look_again_at(&self, all: bool) -> ApplyResult<Vec<DiskPath>> {
        let mut copies = Vec::new();
        let mut put_off = BTreeSet::new();
        let mut failure = None;
        loop {
            let total = self.state.displaced_total(self.namespace).await?;
            let mut spare_files = total.count.saturating_sub(INBOX_ROWS as u64);
            let mut spare_bytes = total.bytes.saturating_sub(WAITING_BYTES);
            let limit = AT_ONCE + put_off.len();
            let oldest = match total.count {
                0 => Vec::new(),
                _ => self.state.displaced(self.namespace, limit).await?,
            };
            let mut batch = StateBatch::default();
            for displaced in oldest {
                if put_off.contains(&displaced.staged) {
                    continue;
                }
                let is_spare = all || spare_files > 0 || spare_bytes > 0;
                if !is_spare && !self.is_due(displaced.since) {
                    break;
                }
                spare_files = spare_files.saturating_sub(1);
                spare_bytes = spare_bytes.saturating_sub(displaced.size);
                match self.second_look(&mut batch, &displaced).await {
                    Ok(copy) => {
                        copies.extend(copy);
                        batch.let_go.push(displaced.staged);
                    }
                    Err(error @ ApplyError::State(_)) => return Err(error),
                    Err(error) => {
                        put_off.insert(displaced.staged.clone());
                        batch.displaced.push(self.put_off(displaced, &error));
                        failure.get_or_insert(error);
                    }
                }
            }
            if batch == StateBatch::default() {
                break;
            }
            self.write(batch).await?;
        }
        match failure {
            Some(error) if all => Err(error),
            _ => Ok(copies),
        }
    }

    /// What could not be looked at, as it waits for another ten minutes: what came later must not wait for it.
    fn put_off(&self, displaced: Displaced, error: &ApplyError) -> Displaced {
        // Without the path: logs name no files.
        let error: &dyn std::error::Error = match error {
            ApplyError::Fs(error) => &error.source,
            error => error,
        };
        tracing::warn!(
            error,
            "what was displaced could not be looked at again; it is tried later"
        );
        Displaced {
            since: self.runtime.clock.now(),
            ..displaced
        }
    }

    /// In how many milliseconds the next displaced file is due; `None` when there is none.
    ///
    /// # Errors
    /// As the state says.
    pub async fn next_look_ms(&self) -> ApplyResult<Option<u64>> {
        let oldest = self.state.displaced(self.namespace, 1).await?;
        let now = self.runtime.clock.now().as_millis();
        Ok(oldest.first().map(|displaced| {
            let waited = now.saturating_sub(displaced.since.as_millis()).max(0);
            LOOK_AGAIN_AFTER_MS.saturating_sub(waited).max(0).unsigned_abs()
        }))
    }

    /// Whether the time has come. A clock that was set back makes everything due: rather early than never.
    fn is_due(&self, since: Timestamp) -> bool {
        let waited = self
            .runtime
            .clock
            .now()
            .as_millis()
            .saturating_sub(since.as_millis());
        !(0..LOOK_AGAIN_AFTER_MS).contains(&waited)
    }

    async fn second_look(
        &self,
        batch: &mut StateBatch,
        displaced: &Displaced,
    ) -> ApplyResult<Option<DiskPath>> {
        let mut standing = displaced.staged.clone();
        let mut found = self.look_staged(&standing).await?;
        if found.is_none()
            && let Some(before) = name_before(&standing)
        {
            found = self.look_staged(&before).await?;
            standing = before;
        }
        let Some(found) = found else {
            return Ok(None);
        };
        let Ok(note) = minicbor::decode::<Note>(&displaced.note) else {
            self.on_disk(move |fs| fs.trash(&standing)).await?;
            return Ok(None);
        };
        let known = DiskPath::from_names(note.path.clone());
        if !self.was_written(&standing, &note, &found).await?
            || self.stands_elsewhere(&found).await?
            || self.waits_elsewhere(displaced, &found).await?
        {
            self.trash(&standing, &known).await?;
            return Ok(None);
        }
        // The file may have moved since.
        let original = NodeId::new(note.node).ok();
        let path = match original {
            Some(node) => self.state.disk_path(self.namespace, node).await?,
            None => None,
        };
        let path = path.map_or(known, DiskPath::from_names);
        let at = self.keep_conflicted(&standing, &path).await?;
        self.add_late_write(batch, &note, &at).await?;
        Ok(Some(at))
    }

    /// Whether it holds other bytes now. Times do not tell: a program may have set them back before the rename into the stage
    /// took the change time, and of a file of two names they are set at the other one as well.
    async fn was_written(&self, staged: &str, note: &Note, found: &Metadata) -> ApplyResult<bool> {
        if found.kind != FileKind::Node(NodeKind::File) {
            return Ok(true);
        }
        let staged = staged.to_owned();
        let held = self.on_disk(move |fs| file_id(fs, &staged)).await?;
        Ok(held != Some(note.file_id()))
    }

    /// Whether the same file still stands in the folder, as a hard link of what was displaced: what was written is there,
    /// and it was most likely written there.
    async fn stands_elsewhere(&self, found: &Metadata) -> ApplyResult<bool> {
        let links = self
            .state
            .local_by_inode(self.namespace, found.fingerprint.inode)
            .await?;
        for row in links {
            let Some(names) = self.state.disk_path(self.namespace, row.node).await? else {
                continue;
            };
            let standing = self.look(&DiskPath::from_names(names)).await?;
            let is_it = |standing: Metadata| standing.fingerprint.is_same_file(&found.fingerprint);
            if standing.is_some_and(is_it) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the same file was displaced from another name as well, after what was written to it there was seen.
    async fn waits_elsewhere(&self, displaced: &Displaced, found: &Metadata) -> ApplyResult<bool> {
        let waiting = self.state.displaced(self.namespace, usize::MAX).await?;
        let others = waiting.iter().filter(|other| other.staged != displaced.staged);
        let mut notes = others.filter_map(|other| minicbor::decode::<Note>(&other.note).ok());
        Ok(notes.any(|note| found.fingerprint.is_same_state(&(&note.expected).into())))
    }

    /// Adds the row of a copy that holds what was written late. It says what the version was before, so that the next scan
    /// sees the difference.
    async fn add_late_write(&self, batch: &mut StateBatch, note: &Note, at: &DiskPath) -> ApplyResult<()> {
        let folder = at.parent().unwrap_or_default();
        let parent = match folder.names() {
            [] => Some(NodeId::ROOT),
            names => self
                .state
                .local_at(self.namespace, names)
                .await?
                // A loss of power may have brought back a folder that a file was remembered in the place of.
                .filter(|row| row.entry.is_directory())
                .map(|row| row.node),
        };
        let name = at
            .name()
            .and_then(|name| cairn_core::name::NodeName::new(name).ok());
        let (Some(parent), Some(name), Ok(original)) = (parent, name, NodeId::new(note.node)) else {
            return Ok(());
        };
        let copy = NodeId::random(self.runtime.entropy.as_ref());
        batch.local.push(LocalChange::Put(LocalRow {
            node: copy,
            entry: note.entry(parent, name),
            disk_name: None,
            fingerprint: (&note.expected).into(),
            is_unsure: true,
        }));
        batch.conflicts.push(ConflictRow {
            copy,
            original,
            base: note.base(),
            at: self.runtime.clock.now(),
            reason: ConflictReason::LateWrite,
        });
        Ok(())
    }
}

/// Hashes a staged file; `None` when it is too large to be one that was synced.
fn file_id(fs: &dyn Filesystem, staged: &str) -> FsResult<Option<FileId>> {
    let mut file = fs.open_staged(staged)?;
    let mut hasher = ChunkHasher::new();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut offset = 0;
    loop {
        let len = file.read_at(offset, &mut buffer)?;
        if hasher.update(&buffer[..len]).is_err() {
            return Ok(None);
        }
        drop(hasher.take_pages());
        offset += len as u64;
        if len < buffer.len() {
            return Ok(hasher.finish().ok().map(|built| built.file_id));
        }
    }
}
