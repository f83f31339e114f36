//! Many small files with one request.

use std::sync::{Arc, Mutex};

use cairn_api::sync::{Fetch, FetchItem, FetchPart, FetchStatus};
use cairn_core::ids::FileId;
use cairn_core::manifest::PlacedChunk;
use cairn_core::node::FileContent;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::assemble::{Arrived, fill_from_disk, finish, prepare, write_chunks};
use super::incoming::{Incoming, Part, malformed};
use super::{DownloadError, Downloaded, Downloader, Wanted, inline_chunks};
use crate::fs::{DiskPath, Filesystem, FsError, StageGroup};

/// Writes under way at once.
const WRITES: usize = 4;
/// Bytes of files by which one write is full, and how many they may be: handing a small file to another thread costs more
/// than writing it.
const BYTES_PER_WRITE: u64 = 512 * 1024;
const FILES_PER_WRITE: usize = 64;

/// What the disk alone could do for a file.
enum Local {
    Done(Result<(), DownloadError>),
    Missing,
}

impl Downloader {
    /// Fetches a batch of small files; each has its own result.
    pub(super) async fn fetch_small(&self, batch: Vec<Wanted>) -> Vec<Downloaded> {
        let mut results = Vec::with_capacity(batch.len());
        let mut missing = Vec::new();
        for (wanted, local) in self.small_from_disk(batch).await {
            match local {
                Local::Done(result) => {
                    if result.is_ok() {
                        self.count(&wanted.content);
                    }
                    results.push((wanted.node, result));
                }
                Local::Missing => missing.push(wanted),
            }
        }
        if !missing.is_empty() {
            self.fetch_batch(missing, &mut results).await;
        }
        results
    }

    /// Puts together what can be had from the disk.
    async fn small_from_disk(&self, batch: Vec<Wanted>) -> Vec<(Wanted, Local)> {
        let sources = self.sources_of(&batch).await;
        let fs = Arc::clone(&self.fs);
        self.runtime
            .blocking(move || {
                batch
                    .into_iter()
                    .zip(sources)
                    .map(|(wanted, source)| {
                        let local = match source {
                            Ok(source) => from_disk(fs.as_ref(), &wanted, source.as_ref()),
                            Err(error) => Local::Done(Err(error)),
                        };
                        (wanted, local)
                    })
                    .collect()
            })
            .await
    }

    /// Where the disk has the content of each. Asked for all at once, and only when that fails one by one: each has its own
    /// result.
    async fn sources_of(&self, batch: &[Wanted]) -> Vec<Result<Option<DiskPath>, DownloadError>> {
        let asked: Vec<FileId> = batch.iter().map(|wanted| wanted.content.file_id).collect();
        if let Ok(sources) = self.local_sources(&asked).await {
            return sources.into_iter().map(Ok).collect();
        }
        let mut sources = Vec::with_capacity(batch.len());
        for wanted in batch {
            sources.push(self.local_source(&wanted.content).await);
        }
        sources
    }

    /// Fetches what the disk does not have. What had arrived whole before a failure stays.
    async fn fetch_batch(&self, missing: Vec<Wanted>, results: &mut Vec<Downloaded>) {
        let fs = Arc::clone(&self.fs);
        // Before anything is written: it notices what goes wrong from here on.
        let group = match self.runtime.blocking(move || fs.begin_group()).await {
            Ok(group) => group,
            Err(error) => return fail_for_disk(missing, &error, results),
        };
        let mut written = Vec::with_capacity(missing.len());
        self.receive_batch(missing, &mut written, results).await;
        self.make_durable(group, written, results).await;
    }

    /// Receives files and writes them to the stage; those that were written are not durable yet.
    async fn receive_batch(
        &self,
        missing: Vec<Wanted>,
        written: &mut Vec<Wanted>,
        results: &mut Vec<Downloaded>,
    ) {
        let request = Fetch {
            namespace: self.namespace,
            items: missing.iter().map(item).collect(),
        };
        let mut incoming = match Incoming::open(self.remote.as_ref(), request).await {
            Ok(incoming) => incoming,
            Err(error) => return fail_all(missing, error, results),
        };
        let mut writes: FuturesUnordered<BoxFuture<'_, Vec<Written>>> = FuturesUnordered::new();
        let mut next = ToWrite::default();
        let mut waiting = missing.into_iter().enumerate();
        while let Some((index, wanted)) = waiting.next() {
            let received = {
                // Writing goes on while the next file arrives.
                let mut receiving = std::pin::pin!(receive(&mut incoming, index, &wanted.content));
                loop {
                    tokio::select! {
                        biased;
                        Some(done) = writes.next(), if !writes.is_empty() => sort(done, written, results),
                        received = &mut receiving, if writes.len() < WRITES => break received,
                    }
                }
            };
            match received {
                Ok(Ok(arrived)) => {
                    if let Some(full) = next.add(wanted, arrived) {
                        writes.push(Box::pin(self.write(full)));
                    }
                }
                Ok(Err(error)) => results.push((wanted.node, Err(error))),
                Err(error) => {
                    let rest = std::iter::once(wanted).chain(waiting.map(|(_, rest)| rest));
                    fail_all(rest, error, results);
                    break;
                }
            }
        }
        writes.push(Box::pin(self.write(next.files)));
        while let Some(done) = writes.next().await {
            sort(done, written, results);
        }
    }

    /// Writes files that have arrived.
    async fn write(&self, files: Vec<(Wanted, Vec<Arrived>)>) -> Vec<Written> {
        let fs = Arc::clone(&self.fs);
        let write_one = move |(wanted, arrived): (Wanted, Vec<Arrived>)| {
            let result = write(fs.as_ref(), &wanted, &arrived);
            if result.is_err() {
                abandon(fs.as_ref(), &wanted.staged);
            }
            (wanted, result)
        };
        self.runtime
            .blocking(move || files.into_iter().map(write_one).collect())
            .await
    }

    /// Makes files durable that were written.
    async fn make_durable(
        &self,
        mut group: Box<dyn StageGroup>,
        written: Vec<Wanted>,
        results: &mut Vec<Downloaded>,
    ) {
        if written.is_empty() {
            return;
        }
        let names: Vec<String> = written.iter().map(|wanted| wanted.staged.clone()).collect();
        match self.runtime.blocking(move || group.sync(&names)).await {
            Ok(()) => results.extend(written.into_iter().map(|wanted| {
                self.count(&wanted.content);
                (wanted.node, Ok(()))
            })),
            Err(error) => fail_for_disk(written, &error, results),
        }
    }

    fn count(&self, content: &FileContent) {
        self.progress.down.bytes(content.size);
        self.progress.down.files(1);
    }
}

/// A file that was written, or why it was not.
type Written = (Wanted, Result<(), DownloadError>);

fn sort(done: Vec<Written>, written: &mut Vec<Wanted>, results: &mut Vec<Downloaded>) {
    for (wanted, result) in done {
        match result {
            Ok(()) => written.push(wanted),
            Err(error) => results.push((wanted.node, Err(error))),
        }
    }
}

/// Files that have arrived, gathered until it is worth handing them to another thread.
#[derive(Default)]
struct ToWrite {
    files: Vec<(Wanted, Vec<Arrived>)>,
    bytes: u64,
}

impl ToWrite {
    /// Adds a file; all of them when they are enough.
    fn add(&mut self, wanted: Wanted, arrived: Vec<Arrived>) -> Option<Vec<(Wanted, Vec<Arrived>)>> {
        self.bytes += wanted.content.size;
        self.files.push((wanted, arrived));
        let is_full = self.bytes >= BYTES_PER_WRITE || self.files.len() >= FILES_PER_WRITE;
        is_full.then(|| std::mem::take(self).files)
    }
}

fn write(fs: &dyn Filesystem, wanted: &Wanted, arrived: &[Arrived]) -> Result<(), DownloadError> {
    let stage = Arc::new(Mutex::new(fs.stage(&wanted.staged)?));
    write_chunks(&stage, arrived)?;
    Ok(prepare(&stage, wanted)?)
}

/// Drops a staged file that is of no use. That it may stay is no second failure: the stage is swept later.
pub(super) fn abandon(fs: &dyn Filesystem, staged: &str) {
    if let Err(error) = fs.unstage(staged) {
        tracing::debug!(%error, "a staged file could not be removed");
    }
}

fn item(wanted: &Wanted) -> FetchItem {
    FetchItem {
        node: wanted.node,
        content_seq: wanted.content_seq,
        part: FetchPart::Chunks {
            first: 0,
            count: wanted.content.manifest.chunk_count(),
        },
    }
}

fn from_disk(fs: &dyn Filesystem, wanted: &Wanted, source: Option<&DiskPath>) -> Local {
    let done = |result| Local::Done(result);
    let is_staged = match fs.staged(&wanted.staged) {
        Ok(staged) => staged.is_some(),
        Err(error) => return done(Err(error.into())),
    };
    // Nothing to look at: the usual case costs no more than one look at the stage.
    if !is_staged && source.is_none() && wanted.content.size > 0 {
        return Local::Missing;
    }
    let chunks = match inline_chunks(&wanted.content) {
        Ok(chunks) => chunks,
        Err(error) => return done(Err(error)),
    };
    match fill_from_disk(fs, wanted, source, None, chunks) {
        Ok((stage, missing)) if missing.is_empty() => done(finish(&stage, wanted).map_err(DownloadError::Fs)),
        Ok(_) => Local::Missing,
        Err(error) => done(Err(error.into())),
    }
}

/// One failure of the disk for many files.
fn fail_for_disk(wanted: Vec<Wanted>, error: &FsError, results: &mut Vec<Downloaded>) {
    results.extend(
        wanted
            .into_iter()
            .map(|wanted| (wanted.node, Err(error.again().into()))),
    );
}

fn fail_all(
    wanted: impl IntoIterator<Item = Wanted>,
    error: crate::remote::RemoteError,
    results: &mut Vec<Downloaded>,
) {
    let error = Arc::new(error);
    results.extend(
        wanted
            .into_iter()
            .map(|wanted| (wanted.node, Err(DownloadError::Remote(Arc::clone(&error))))),
    );
}

/// Receives one file. The outer error ends the reply, the inner one is the file's alone.
async fn receive(
    incoming: &mut Incoming,
    index: usize,
    content: &FileContent,
) -> Result<Result<Vec<Arrived>, DownloadError>, crate::remote::RemoteError> {
    let start = incoming.start(index).await?;
    match start.status {
        FetchStatus::Found => {}
        FetchStatus::NotFound => return Ok(Err(DownloadError::NotFound)),
        FetchStatus::Damaged => return Ok(Err(DownloadError::Damaged)),
    }
    let chunks: Vec<PlacedChunk> = match inline_chunks(content) {
        Ok(chunks) if chunks.len() as u64 == start.frames => chunks,
        _ => return Err(malformed("an item has another number of chunks than the file")),
    };
    let mut arrived = Vec::with_capacity(chunks.len());
    for placed in chunks {
        let part = Part::Whole(incoming.chunk().await?);
        let base = Vec::new();
        arrived.push(Arrived { placed, part, base });
    }
    Ok(Ok(arrived))
}
