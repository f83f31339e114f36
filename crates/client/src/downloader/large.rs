//! One large file, by runs of chunks.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use cairn_api::sync::{Fetch, FetchItem, FetchPart, FetchStatus};
use cairn_codec::decode_chunk;
use cairn_core::ids::ChunkHash;
use cairn_core::limits::{BODY_BYTES, COMMIT_BATCH_OPS, FILE_CHUNKS};
use cairn_core::manifest::{Manifest, ManifestError, ManifestReader, PlacedChunk, Step};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Semaphore;

use super::assemble::{Arrived, SharedStage, fill_from_disk, finish, write_chunks};
use super::incoming::{Incoming, malformed};
use super::small::abandon;
use super::{DownloadError, Downloaded, Downloader, REQUESTS, Wanted, inline_chunks};

/// Bytes of the file in one request.
const REQUEST_BYTES: u64 = BODY_BYTES as u64;
/// Bytes that are gathered before they are decoded and written, each time on another thread.
const WRITE_BYTES: usize = 1024 * 1024;

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
        let chunks = self.chunk_list(&wanted, requests).await?;
        let source = self.local_source(&wanted.content).await?;
        let wanted = Arc::new(wanted);
        let (stage, missing) = {
            let (fs, wanted) = (Arc::clone(&self.fs), Arc::clone(&wanted));
            self.runtime
                .blocking(move || fill_from_disk(fs.as_ref(), &wanted, source.as_ref(), chunks))
                .await?
        };
        let missing_bytes: u64 = missing.iter().map(|chunk| u64::from(chunk.entry.len)).sum();
        self.progress
            .down
            .bytes(wanted.content.size.saturating_sub(missing_bytes));
        self.fetch_runs(&wanted, missing, &stage, requests).await?;
        self.runtime.blocking(move || finish(&stage, &wanted)).await?;
        Ok(())
    }

    /// Where each chunk of the file stands. 64 bytes for each: 4 MB for a file of 5 GiB.
    async fn chunk_list(
        &self,
        wanted: &Wanted,
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
        let _permit = requests.acquire().await;
        let item = FetchItem {
            node: wanted.node,
            content_seq: wanted.content_seq,
            part: FetchPart::Pages,
        };
        let mut pages = Pages::open(self, item).await?;
        let mut chunks = Vec::new();
        loop {
            match reader.step() {
                Step::Chunk(chunk) => chunks.push(chunk),
                Step::Need(hash) => reader.give(&pages.get(hash).await?)?,
                Step::End => return Ok(chunks),
            }
        }
    }

    /// Fetches missing chunks, several requests at once. After a failure no request is begun, but those under way go on:
    /// what arrives need not come again.
    async fn fetch_runs(
        &self,
        wanted: &Wanted,
        missing: Vec<PlacedChunk>,
        stage: &SharedStage,
        requests: &Semaphore,
    ) -> Result<(), DownloadError> {
        let mut first_error = None;
        let mut waiting = requests_for(missing).into_iter();
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < REQUESTS && first_error.is_none() {
                let Some(runs) = waiting.next() else { break };
                under_way.push(self.fetch_request(wanted, runs, stage, requests));
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
        wanted: &Wanted,
        runs: Vec<Vec<PlacedChunk>>,
        stage: &SharedStage,
        requests: &Semaphore,
    ) -> Result<(), DownloadError> {
        let _permit = requests.acquire().await;
        let items = runs.iter().filter_map(|run| {
            let part = FetchPart::Chunks {
                first: run.first()?.index,
                count: run.len() as u64,
            };
            Some(FetchItem {
                node: wanted.node,
                content_seq: wanted.content_seq,
                part,
            })
        });
        let request = Fetch {
            namespace: self.namespace,
            items: items.collect(),
        };
        let mut incoming = Incoming::open(self.remote.as_ref(), request).await?;
        let mut arrived = Vec::new();
        let received = self.receive_runs(&mut incoming, runs, stage, &mut arrived).await;
        let written = self.write_run(stage, arrived).await;
        received.and(written)
    }

    async fn receive_runs(
        &self,
        incoming: &mut Incoming,
        runs: Vec<Vec<PlacedChunk>>,
        stage: &SharedStage,
        arrived: &mut Vec<Arrived>,
    ) -> Result<(), DownloadError> {
        let mut arrived_bytes = 0;
        for (index, run) in runs.into_iter().enumerate() {
            let start = incoming.start(index).await?;
            check_status(start.status)?;
            if start.frames != run.len() as u64 {
                return Err(malformed("an item has another number of chunks than was asked for").into());
            }
            for placed in run {
                let frame = incoming.chunk().await?;
                arrived_bytes += placed.entry.len as usize;
                arrived.push(Arrived { placed, frame });
                if arrived_bytes >= WRITE_BYTES {
                    self.write_run(stage, std::mem::take(arrived)).await?;
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

fn check_status(status: FetchStatus) -> Result<(), DownloadError> {
    match status {
        FetchStatus::Found => Ok(()),
        FetchStatus::NotFound => Err(DownloadError::NotFound),
        FetchStatus::Damaged => Err(DownloadError::Damaged),
    }
}

/// Cuts missing chunks into requests, each a list of runs without gaps.
fn requests_for(missing: Vec<PlacedChunk>) -> Vec<Vec<Vec<PlacedChunk>>> {
    let mut requests: Vec<Vec<Vec<PlacedChunk>>> = Vec::new();
    let mut room = 0;
    for chunk in missing {
        let len = u64::from(chunk.entry.len);
        let open = requests
            .last_mut()
            .filter(|request| room >= len && request.len() < COMMIT_BATCH_OPS);
        let Some(request) = open else {
            room = REQUEST_BYTES.saturating_sub(len);
            requests.push(vec![vec![chunk]]);
            continue;
        };
        room -= len;
        match request.last_mut() {
            Some(run) if run.last().is_some_and(|last| last.index + 1 == chunk.index) => run.push(chunk),
            _ => request.push(vec![chunk]),
        }
    }
    requests
}

/// The pages of a manifest as they arrive.
struct Pages {
    incoming: Incoming,
    left: u64,
    /// Pages that came before they were needed: none from a server that sends them in the order of reading.
    held: HashMap<ChunkHash, Bytes>,
    /// The page that was needed last: a file of zeros is one page over and over.
    last: Option<(ChunkHash, Bytes)>,
}

impl Pages {
    async fn open(downloader: &Downloader, item: FetchItem) -> Result<Self, DownloadError> {
        let request = Fetch {
            namespace: downloader.namespace,
            items: vec![item],
        };
        let mut incoming = Incoming::open(downloader.remote.as_ref(), request).await?;
        let start = incoming.start(0).await?;
        check_status(start.status)?;
        if start.frames > FILE_CHUNKS as u64 {
            return Err(malformed("a manifest has more pages than chunks are allowed").into());
        }
        Ok(Self {
            incoming,
            left: start.frames,
            held: HashMap::new(),
            last: None,
        })
    }

    async fn get(&mut self, hash: ChunkHash) -> Result<Bytes, DownloadError> {
        if let Some((last, bytes)) = &self.last
            && *last == hash
        {
            return Ok(bytes.clone());
        }
        let bytes = match self.held.get(&hash) {
            Some(bytes) => bytes.clone(),
            None => self.receive(hash).await?,
        };
        self.last = Some((hash, bytes.clone()));
        Ok(bytes)
    }

    /// Reads on until the page comes.
    async fn receive(&mut self, hash: ChunkHash) -> Result<Bytes, DownloadError> {
        while self.left > 0 {
            self.left -= 1;
            let frame = self.incoming.chunk().await?;
            let bytes =
                decode_chunk(&frame.chunk, &frame.hash).map_err(|_| super::assemble::WriteError::Damaged)?;
            if frame.hash == hash {
                return Ok(bytes);
            }
            self.held.insert(frame.hash, bytes);
        }
        Err(malformed("a page of the manifest is missing").into())
    }
}
