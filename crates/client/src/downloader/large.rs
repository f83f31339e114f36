//! One large file, by runs of chunks.

use std::sync::Arc;

use cairn_api::sync::{Fetch, FetchItem, FetchPart, FetchStatus};
use cairn_core::base::{Base, runs};
use cairn_core::limits::{BODY_BYTES, COMMIT_BATCH_OPS, FILE_CHUNKS};
use cairn_core::manifest::{Manifest, ManifestError, ManifestReader, PlacedChunk, Step};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Semaphore;

use super::assemble::{Arrived, SharedStage, fill_from_disk, finish, write_chunks};
use super::incoming::{Incoming, Part, malformed};
use super::older::{Held, Missing, Older, plan};
use super::pages::Pages;
use super::small::abandon;
use super::{DownloadError, Downloaded, Downloader, REQUESTS, Wanted, inline_chunks};
use crate::base;
use crate::fs::FsResult;

/// Bytes of the file in one request.
const REQUEST_BYTES: u64 = BODY_BYTES as u64;
/// Bytes that are gathered before they are decoded and written, each time on another thread.
const WRITE_BYTES: usize = 1024 * 1024;

/// Where what is fetched of a file goes, and what it is made from.
struct Place<'a> {
    wanted: &'a Wanted,
    stage: &'a SharedStage,
    held: &'a Held,
}

impl Downloader {
    /// Fetches one file. What was written before a failure stays in the stage and is not fetched again.
    pub(super) async fn fetch_large(&self, wanted: Wanted, requests: Arc<Semaphore>) -> Downloaded {
        let node = wanted.node;
        self.progress.begin(&wanted.path);
        let path = wanted.path.clone();
        let staged = wanted.staged.clone();
        let result = self.assemble_large(wanted, &requests).await;
        self.progress.end(&path);
        match &result {
            Ok(()) => self.progress.down.files(1),
            // The room is needed more than the head start.
            Err(DownloadError::Fs(error)) if error.is_full() => {
                let fs = Arc::clone(&self.fs);
                self.runtime.blocking(move || abandon(fs.as_ref(), &staged)).await;
            }
            Err(_) => {}
        }
        (node, result)
    }

    async fn assemble_large(&self, wanted: Wanted, requests: &Semaphore) -> Result<(), DownloadError> {
        let older = self.older(&wanted).await?;
        let chunks = self.chunk_list(&wanted, older.clone(), requests).await?;
        let source = self.local_source(&wanted.content).await?;
        let wanted = Arc::new(wanted);
        let (stage, missing, held) = {
            let (fs, wanted) = (Arc::clone(&self.fs), Arc::clone(&wanted));
            let fill = move || -> FsResult<_> {
                let older = older.as_deref();
                let entries: Vec<_> = chunks.iter().map(|chunk| chunk.entry).collect();
                let (stage, missing) = fill_from_disk(fs.as_ref(), &wanted, source.as_ref(), older, chunks)?;
                let (missing, held) = plan(fs.as_ref(), older, &entries, missing);
                Ok((stage, missing, held))
            };
            self.runtime.blocking(fill).await?
        };
        let missing_bytes: u64 = missing
            .iter()
            .map(|chunk| u64::from(chunk.placed.entry.len))
            .sum();
        self.progress
            .down
            .bytes(wanted.content.size.saturating_sub(missing_bytes));
        let place = Place {
            wanted: &wanted,
            stage: &stage,
            held: &held,
        };
        self.fetch_runs(&place, missing, requests).await?;
        self.runtime.blocking(move || finish(&stage, &wanted)).await?;
        Ok(())
    }

    /// Where each chunk of the file stands. 64 bytes for each: 4 MB for a file of 5 GiB.
    async fn chunk_list(
        &self,
        wanted: &Wanted,
        older: Option<Arc<Older>>,
        requests: &Semaphore,
    ) -> Result<Vec<PlacedChunk>, DownloadError> {
        let content = &wanted.content;
        let Manifest::Tree { chunk_count, .. } = content.manifest else {
            return inline_chunks(content);
        };
        if chunk_count > FILE_CHUNKS as u64 {
            return Err(DownloadError::Manifest(ManifestError::TooManyChunks));
        }
        let mut reader = ManifestReader::new(&content.manifest, content.size)?;
        // Of a copy of what this device has every page is remembered.
        if let Some(known) = base::load(self.state.as_ref(), content).await? {
            return known_chunks(&mut reader, &known);
        }
        let _permit = requests.acquire().await;
        let mut pages = Pages::open(self, wanted, older).await?;
        let mut chunks = Vec::new();
        loop {
            match reader.step() {
                Step::Chunk(chunk) => chunks.push(chunk),
                Step::Need(hash) => reader.give(&pages.get(self, hash).await?)?,
                Step::End => break,
            }
        }
        pages.keep(self).await?;
        Ok(chunks)
    }

    /// Fetches missing chunks, several requests at once. After a failure no request is begun, but those under way go on:
    /// what arrives need not come again.
    async fn fetch_runs(
        &self,
        place: &Place<'_>,
        missing: Vec<Missing>,
        requests: &Semaphore,
    ) -> Result<(), DownloadError> {
        let mut first_error = None;
        let mut waiting = requests_for(missing).into_iter();
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < REQUESTS && first_error.is_none() {
                let Some(runs) = waiting.next() else { break };
                under_way.push(self.fetch_request(place, runs, requests));
            }
            match under_way.next().await {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    first_error.get_or_insert(error);
                }
                None => return first_error.map_or(Ok(()), Err),
            }
        }
    }

    /// Fetches one request's worth of chunks into the stage, also those before a failure.
    async fn fetch_request(
        &self,
        place: &Place<'_>,
        runs: Vec<Vec<Missing>>,
        requests: &Semaphore,
    ) -> Result<(), DownloadError> {
        let _permit = requests.acquire().await;
        let items = runs.iter().filter_map(|run| {
            let Missing { placed, base } = run.first()?;
            Some(FetchItem {
                node: place.wanted.node,
                content_seq: place.wanted.content_seq,
                part: FetchPart::run(placed.index, run.len() as u64, base.clone()),
            })
        });
        let request = Fetch {
            namespace: self.namespace,
            items: items.collect(),
        };
        let mut incoming = Incoming::open(self.remote.as_ref(), request).await?;
        let mut arrived = Vec::new();
        let received = self.receive_runs(&mut incoming, runs, place, &mut arrived).await;
        let written = self.write_run(place.stage, arrived).await;
        received.and(written)
    }

    async fn receive_runs(
        &self,
        incoming: &mut Incoming,
        runs: Vec<Vec<Missing>>,
        place: &Place<'_>,
        arrived: &mut Vec<Arrived>,
    ) -> Result<(), DownloadError> {
        let mut arrived_bytes = 0;
        for (index, run) in runs.into_iter().enumerate() {
            let start = incoming.start(index).await?;
            check_status(start.status)?;
            if start.frames != run.len() as u64 {
                return Err(malformed("an item has another number of chunks than was asked for").into());
            }
            for Missing { placed, base } in run {
                let part = incoming.part().await?;
                if matches!(&part, Part::Delta(delta) if delta.base != base) {
                    return Err(malformed("a delta is against something else than was said").into());
                }
                // No copies: the bytes are shared.
                let base = base
                    .iter()
                    .filter_map(|hash| place.held.get(hash).cloned())
                    .collect();
                arrived_bytes += placed.entry.len as usize;
                arrived.push(Arrived { placed, part, base });
                if arrived_bytes >= WRITE_BYTES {
                    self.write_run(place.stage, std::mem::take(arrived)).await?;
                    arrived_bytes = 0;
                }
            }
        }
        Ok(())
    }

    async fn write_run(&self, stage: &SharedStage, arrived: Vec<Arrived>) -> Result<(), DownloadError> {
        if arrived.is_empty() {
            return Ok(());
        }
        let bytes = arrived
            .iter()
            .map(|arrived| u64::from(arrived.placed.entry.len))
            .sum();
        let stage = Arc::clone(stage);
        self.runtime
            .blocking(move || write_chunks(&stage, &arrived))
            .await?;
        self.progress.down.bytes(bytes);
        Ok(())
    }
}

/// Where the chunks of a file stand whose pages are all remembered.
fn known_chunks(reader: &mut ManifestReader, known: &Base) -> Result<Vec<PlacedChunk>, DownloadError> {
    let mut chunks = Vec::new();
    loop {
        match reader.step() {
            Step::Chunk(chunk) => chunks.push(chunk),
            Step::Need(hash) => reader.give(known.page(&hash).unwrap_or_default())?,
            Step::End => return Ok(chunks),
        }
    }
}

pub(super) fn check_status(status: FetchStatus) -> Result<(), DownloadError> {
    match status {
        FetchStatus::Found => Ok(()),
        FetchStatus::NotFound => Err(DownloadError::NotFound),
        FetchStatus::Damaged => Err(DownloadError::Damaged),
    }
}

/// Cuts missing chunks into requests, each a list of runs without gaps and with one base.
fn requests_for(missing: Vec<Missing>) -> Vec<Vec<Vec<Missing>>> {
    let mut requests: Vec<Vec<Missing>> = Vec::new();
    let mut room = 0;
    for chunk in missing {
        let len = u64::from(chunk.placed.entry.len);
        let open = requests
            .last_mut()
            .filter(|request| room >= len && request.len() < COMMIT_BATCH_OPS);
        match open {
            Some(request) => {
                room -= len;
                request.push(chunk);
            }
            None => {
                room = REQUEST_BYTES.saturating_sub(len);
                requests.push(vec![chunk]);
            }
        }
    }
    let into_runs = |request| runs(request, |chunk: &Missing| (chunk.placed.index, &chunk.base));
    requests.into_iter().map(into_runs).collect()
}
