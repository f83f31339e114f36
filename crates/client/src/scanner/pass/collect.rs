//! Observations on their way into the state.

use std::sync::Arc;

use cairn_core::file_hasher::FileSummary;
use cairn_core::manifest::Manifest;
use cairn_core::node::{Attributes, FileContent, NodeKind};
use cairn_core::rev::Seq;
use cairn_core::tree::{Entry, Substance};
use futures::StreamExt;

use super::{Job, Pass};
use crate::fs::Metadata;
use crate::scanner::ScanError;
use crate::scanner::content::{self, ReadOutcome, Target, reason};
use crate::scanner::matching::Listed;
use crate::scanner::report::ProblemReason;
use crate::scanner::reread;
use crate::state::{LocalChange, LocalRow, TreeChange};

/// Reads in flight for each core: one that reads and one that waits for the disk.
const READS_PER_CORE: usize = 2;
/// Files that one read takes after one another, and their bytes by which it is full: handing a small file to another thread
/// costs more than reading it.
const FILES_PER_READ: usize = 32;
const BYTES_PER_READ: u64 = 1024 * 1024;
/// Rows in one transaction.
const BATCH_ROWS: usize = 1_000;
/// Chunks of the contents in one transaction: 2.4 MB in memory.
const BATCH_CHUNKS: usize = 65_536;
/// Bytes of files after which what was observed is taken down: what is new is sent meanwhile.
const BATCH_BYTES: u64 = 64 * 1024 * 1024;

impl Pass<'_> {
    /// Takes down what stands at a place: folders and links at once, files when they have been read.
    pub(super) async fn observe(&mut self, item: Listed, job: Job) -> Result<(), ScanError> {
        let substance = match item.kind {
            NodeKind::Directory => Substance::Directory,
            NodeKind::Symlink => {
                let path = job.path.clone();
                match self.scanner.on_disk(move |fs| fs.read_link(&path)).await {
                    Ok(target) => Substance::Symlink(target),
                    Err(error) if error.is_not_found() => return Ok(()),
                    Err(error) => {
                        let reason = match error.source.kind() {
                            std::io::ErrorKind::InvalidData => ProblemReason::LinkTarget,
                            _ => reason(&error),
                        };
                        self.report.note_problem(job.path, reason);
                        return Ok(());
                    }
                }
            }
            NodeKind::File => {
                return self.read(job, item.metadata.fingerprint.size).await;
            }
        };
        let row = self.with_state(&job, substance, &item.metadata, false);
        self.put(row, job.previous.as_ref()).await
    }

    /// Reads a file of about this size, soon.
    pub(super) async fn read(&mut self, job: Job, size: u64) -> Result<(), ScanError> {
        self.to_read.push(job);
        self.to_read_bytes = self.to_read_bytes.saturating_add(size);
        if self.to_read.len() >= FILES_PER_READ || self.to_read_bytes >= BYTES_PER_READ {
            self.start_read().await?;
        }
        self.keep_reads_bounded().await
    }

    /// Begins to read the files that wait for it. What is known of them is looked up first: a read that waits to be driven must
    /// hold nothing that the pass may wait for, such as one of the state's few connections.
    pub(super) async fn start_read(&mut self) -> Result<(), ScanError> {
        let jobs = std::mem::take(&mut self.to_read);
        self.to_read_bytes = 0;
        let runtime = self.scanner.runtime.clone();
        let mut targets = Vec::with_capacity(jobs.len());
        let previous: Vec<_> = jobs.iter().map(|job| job.previous.as_ref()).collect();
        let known = reread::all_known(&*self.scanner.state, &previous).await?;
        for (job, known) in jobs.iter().zip(known) {
            let target = Target {
                fs: Arc::clone(&self.scanner.fs),
                clock: Arc::clone(&runtime.clock),
                path: job.path.clone(),
            };
            targets.push((target, known));
        }
        self.reads.push(Box::pin(async move {
            let outcomes = content::read_all(&runtime, targets).await;
            jobs.into_iter().zip(outcomes).collect()
        }));
        Ok(())
    }

    pub(super) async fn keep_reads_bounded(&mut self) -> Result<(), ScanError> {
        while self.reads.len() >= self.scanner.readers * READS_PER_CORE {
            self.take_read().await?;
        }
        Ok(())
    }

    /// Takes down the files of one read.
    pub(super) async fn take_read(&mut self) -> Result<(), ScanError> {
        for (job, outcome) in self.reads.next().await.unwrap_or_default() {
            self.take_outcome(job, outcome).await?;
        }
        Ok(())
    }

    async fn take_outcome(&mut self, job: Job, outcome: ReadOutcome) -> Result<(), ScanError> {
        match outcome {
            ReadOutcome::Read {
                summary,
                metadata,
                is_unsure,
            } => {
                let FileSummary { content, pages } = *summary;
                self.report.hashed += 1;
                self.report.hashed_bytes += content.size;
                self.report.has_more_unsure |= is_unsure;
                let substance = Substance::File {
                    file_id: content.file_id,
                    size: content.size,
                };
                let row = self.with_state(&job, substance, &metadata, is_unsure);
                // Another file came to its place: where the first one is now, and which of them is the node, a listing shows.
                if let Some(old) = &job.previous
                    && !job.is_listed
                    && old.entry.substance != row.entry.substance
                    && (!metadata.fingerprint.is_same_file(&old.fingerprint)
                        || self.scanner.is_twin(old, &metadata.fingerprint).await?)
                {
                    self.report.note_busy(job.path, content.size);
                    return Ok(());
                }
                if job
                    .previous
                    .as_ref()
                    .is_none_or(|old| old.entry.substance != row.entry.substance)
                {
                    if !pages.is_empty() {
                        // Whoever sends the file or reads it again need not cut it anew.
                        self.scanner.state.keep_pages(&pages).await?;
                    }
                    self.remember(content);
                }
                if job.previous.as_ref().is_some_and(|old| !old.is_content_known()) {
                    self.agree_no_more(&row).await?;
                }
                self.put(row, job.previous.as_ref()).await?;
            }
            ReadOutcome::Busy { size } => self.report.note_busy(job.path, size),
            // What was never in the tree need not be missed.
            ReadOutcome::Gone if job.previous.is_none() => {}
            ReadOutcome::Gone => self.report.note_busy(job.path, 0),
            ReadOutcome::Failed(reason) => self.report.note_problem(job.path, reason),
        }
        Ok(())
    }

    /// Forgets what was agreed upon of a file of which a disk may have lost bytes, where it holds others now: nobody wrote
    /// those, and they must not replace the server's.
    async fn agree_no_more(&mut self, row: &LocalRow) -> Result<(), ScanError> {
        let agreed = self
            .scanner
            .state
            .synced(self.scanner.namespace, row.node)
            .await?;
        if agreed.is_some_and(|agreed| agreed.substance != row.entry.substance) {
            self.batch.synced.push(TreeChange::RemoveNode(row.node));
        }
        Ok(())
    }

    /// The row of a node in the state that was observed.
    pub(super) fn with_state(
        &self,
        job: &Job,
        substance: Substance,
        metadata: &Metadata,
        is_unsure: bool,
    ) -> LocalRow {
        let previous = job.previous.as_ref();
        let attributes = match substance {
            Substance::File { .. } => Attributes {
                // The disk may keep times less exactly than the server: what it made of one counts as that one.
                mtime: match previous {
                    Some(row) if row.fingerprint.mtime == metadata.fingerprint.mtime => {
                        row.entry.attributes.mtime
                    }
                    _ => metadata.fingerprint.mtime,
                },
                executable: if self.scanner.fs.keeps_exec_bit() {
                    metadata.executable
                } else {
                    previous.is_some_and(|row| row.entry.attributes.executable)
                },
            },
            Substance::Directory | Substance::Symlink(_) => Attributes::default(),
        };
        LocalRow {
            node: job.node,
            entry: Entry {
                place: job.place.clone(),
                substance,
                attributes,
                place_seq: Seq::ZERO,
                content_seq: Seq::ZERO,
            },
            disk_name: job.disk_name.clone(),
            fingerprint: metadata.fingerprint,
            is_unsure,
        }
    }

    /// Adds a row to the batch when it says something new.
    pub(super) async fn put(&mut self, row: LocalRow, previous: Option<&LocalRow>) -> Result<(), ScanError> {
        if previous == Some(&row) {
            return Ok(());
        }
        if previous.is_none_or(|old| old.entry != row.entry) {
            self.report.changed += 1;
        }
        if let Substance::File { size, .. } = row.entry.substance {
            self.batch_bytes += size;
        }
        self.batch.local.push(LocalChange::Put(row));
        let is_full = self.batch.local.len() >= BATCH_ROWS
            || self.batch_chunks >= BATCH_CHUNKS
            || self.batch_bytes >= BATCH_BYTES;
        if is_full {
            self.flush().await?;
        }
        Ok(())
    }

    fn remember(&mut self, content: FileContent) {
        self.batch_chunks += match &content.manifest {
            Manifest::Inline(chunks) => chunks.len(),
            Manifest::Tree { .. } => 1,
        };
        self.batch.contents.push(content);
    }

    pub(super) async fn flush(&mut self) -> Result<(), ScanError> {
        self.has_moved_folders = false;
        self.batch_chunks = 0;
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if !batch.local.is_empty() || !batch.contents.is_empty() {
            self.scanner.state.apply(self.scanner.namespace, batch).await?;
            self.scanner.flushed.notify_one();
        }
        Ok(())
    }
}
