//! Sends content ahead of the commit that names it.

use std::collections::HashSet;
use std::io::Read;

use bytes::Bytes;
use cairn_api::frame::ChunkFrame;
use cairn_api::sync::Have;
use cairn_codec::encode_owned;
use cairn_core::file_hasher::FileHasher;
use cairn_core::ids::ChunkHash;
use cairn_core::limits::CHUNK_MAX_BYTES;
use cairn_core::manifest::EncodedPage;
use cairn_core::node::FileContent;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::{FilesError, RemoteFiles};

/// Plaintext of one request; well below the limit of a body.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// Chunks of one request, for files that are shorter than a chunk.
const WINDOW_CHUNKS: usize = 1_000;
/// Requests under way at once.
const WINDOWS: usize = 4;
/// Hashes of chunks that were sent lately and are not sent again.
const RECENT_HASHES: usize = 1 << 16;

/// A chunk or a page of a manifest, not yet encoded.
struct PlainChunk {
    hash: ChunkHash,
    is_page: bool,
    bytes: Bytes,
}

/// A source that is being read.
struct Reading {
    source: Box<dyn Read + Send>,
    hasher: FileHasher,
    buffer: Vec<u8>,
}

/// What one step of reading gave.
enum Step {
    More(Box<Reading>, Vec<PlainChunk>),
    End(FileContent, Vec<PlainChunk>),
}

/// Sends the content of any number of files. Small ones share requests.
pub struct ContentSender<'a> {
    files: &'a RemoteFiles,
    waiting: Vec<PlainChunk>,
    waiting_bytes: usize,
    under_way: FuturesUnordered<BoxFuture<'a, Result<(), FilesError>>>,
    recent: HashSet<ChunkHash>,
}

impl RemoteFiles {
    /// Begins to send content.
    pub fn send(&self) -> ContentSender<'_> {
        ContentSender {
            files: self,
            waiting: Vec::new(),
            waiting_bytes: 0,
            under_way: FuturesUnordered::new(),
            recent: HashSet::new(),
        }
    }
}

impl<'a> ContentSender<'a> {
    /// Reads a source to its end and sends what the server lacks of it. May be committed after [`Self::finish`].
    ///
    /// # Errors
    /// [`FilesError::Read`], [`FilesError::TooLong`], and those of the way to the server.
    pub async fn content(&mut self, source: Box<dyn Read + Send>) -> Result<FileContent, FilesError> {
        let buffer = vec![0; CHUNK_MAX_BYTES];
        let mut reading = Box::new(Reading {
            source,
            hasher: FileHasher::new(),
            buffer,
        });
        loop {
            let step = self.files.runtime.blocking(move || read_window(reading)).await?;
            match step {
                Step::More(rest, window) => {
                    reading = rest;
                    self.queue(window).await?;
                }
                Step::End(content, window) => {
                    self.queue(window).await?;
                    self.files.progress.up.files(1);
                    return Ok(content);
                }
            }
        }
    }

    /// Waits until everything that was read is durable on the server.
    ///
    /// # Errors
    /// Those of the way to the server.
    pub async fn finish(&mut self) -> Result<(), FilesError> {
        self.begin_window().await?;
        while let Some(sent) = self.under_way.next().await {
            sent?;
        }
        Ok(())
    }

    async fn queue(&mut self, window: Vec<PlainChunk>) -> Result<(), FilesError> {
        for chunk in window {
            if self.recent.len() > RECENT_HASHES {
                self.recent.clear();
            }
            if !self.recent.insert(chunk.hash) {
                self.files.progress.up.bytes(content_len(&chunk));
                continue;
            }
            if self.waiting_bytes + chunk.bytes.len() > WINDOW_BYTES || self.waiting.len() >= WINDOW_CHUNKS {
                self.begin_window().await?;
            }
            self.waiting_bytes += chunk.bytes.len();
            self.waiting.push(chunk);
        }
        Ok(())
    }

    /// Sends what waits; first waits itself when enough is under way.
    async fn begin_window(&mut self) -> Result<(), FilesError> {
        while self.under_way.len() >= WINDOWS {
            if let Some(sent) = self.under_way.next().await {
                sent?;
            }
        }
        if !self.waiting.is_empty() {
            self.waiting_bytes = 0;
            let window = std::mem::take(&mut self.waiting);
            self.under_way.push(Box::pin(send_window(self.files, window)));
        }
        Ok(())
    }
}

async fn send_window(files: &RemoteFiles, window: Vec<PlainChunk>) -> Result<(), FilesError> {
    let hashes: Vec<_> = window.iter().map(|chunk| chunk.hash).collect();
    let bytes = window.iter().map(content_len).sum();
    let have = files
        .patiently(|| {
            files.remote.have(Have {
                namespace: files.namespace,
                hashes: hashes.clone(),
            })
        })
        .await?;
    let frames: Vec<ChunkFrame> = files
        .runtime
        .blocking(move || {
            let missing = window.into_iter().zip(have).filter(|(_, has)| !has);
            missing.map(|(chunk, _)| encode(&chunk)).collect()
        })
        .await;
    if !frames.is_empty() {
        files
            .patiently(|| files.remote.put_chunks(files.namespace, frames.clone()))
            .await?;
    }
    files.progress.up.bytes(bytes);
    Ok(())
}

fn read_window(mut reading: Box<Reading>) -> Result<Step, FilesError> {
    let mut window = Vec::new();
    let mut bytes = 0;
    while bytes < WINDOW_BYTES {
        let len = match reading.source.read(&mut reading.buffer) {
            Ok(len) => len,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FilesError::Read(error)),
        };
        let mut piece = &reading.buffer[..len];
        while let Some((entry, plaintext)) = reading.hasher.next_chunk(&mut piece)? {
            bytes += plaintext.len();
            window.push(PlainChunk {
                hash: entry.hash,
                is_page: false,
                bytes: Bytes::copy_from_slice(plaintext),
            });
        }
        window.extend(reading.hasher.take_pages().into_iter().map(page));
        if len == 0 {
            if let Some((entry, plaintext)) = reading.hasher.last_chunk()? {
                let bytes = Bytes::copy_from_slice(plaintext);
                window.push(PlainChunk {
                    hash: entry.hash,
                    is_page: false,
                    bytes,
                });
            }
            let summary = reading.hasher.finish()?;
            window.extend(summary.pages.into_iter().map(page));
            return Ok(Step::End(summary.content, window));
        }
    }
    Ok(Step::More(reading, window))
}

fn page(page: EncodedPage) -> PlainChunk {
    PlainChunk {
        hash: page.hash,
        is_page: true,
        bytes: Bytes::from(page.bytes),
    }
}

fn encode(chunk: &PlainChunk) -> ChunkFrame {
    ChunkFrame {
        hash: chunk.hash,
        is_page: chunk.is_page,
        chunk: encode_owned(chunk.bytes.clone()),
    }
}

/// Bytes of the file in a chunk: none in a page.
fn content_len(chunk: &PlainChunk) -> u64 {
    if chunk.is_page {
        0
    } else {
        chunk.bytes.len() as u64
    }
}
