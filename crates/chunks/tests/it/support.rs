//! A runtime on tokio with seeded randomness, folders, and chunks.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cairn_chunks::pack::PackOptions;
use cairn_chunks::{ChunkKind, ChunkStore, Codec, EncodedChunk, NewChunk, PackChunks, Result};
use cairn_codec::encode_chunk;
use cairn_core::ids::ChunkHash;
use cairn_core::runtime::{BoxFuture, Clock, Entropy, Runtime, Spawner};
use cairn_core::time::Timestamp;

/// A clock that stands still: nothing here may order by it.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }
}

/// The output of BLAKE3 for a seed.
struct Seeded(Mutex<blake3::OutputReader>);

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().unwrap().fill(buffer);
    }
}

struct Tokio;

impl Spawner for Tokio {
    fn spawn(&self, _name: &'static str, task: BoxFuture<()>) {
        tokio::spawn(task);
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        let run = tokio::task::spawn_blocking(work);
        Box::pin(async move { run.await.unwrap() })
    }
}

pub(crate) fn runtime(seed: u64) -> Runtime {
    let reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    Runtime {
        clock: Arc::new(Still),
        entropy: Arc::new(Seeded(Mutex::new(reader))),
        spawner: Arc::new(Tokio),
    }
}

static SEED: AtomicU64 = AtomicU64::new(1_000);

/// A fresh seed, so that two runs of a store never draw the same keys and ids.
pub(crate) fn seed() -> u64 {
    SEED.fetch_add(1, Ordering::SeqCst)
}

/// Folders that vanish with the test.
pub(crate) struct Home {
    root: Arc<tempfile::TempDir>,
    count: AtomicU64,
}

/// One of them.
#[derive(Clone)]
pub(crate) struct Folder {
    _root: Arc<tempfile::TempDir>,
    pub(crate) path: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            root: Arc::new(tempfile::tempdir().unwrap()),
            count: AtomicU64::new(0),
        }
    }

    pub(crate) fn next(&self) -> Folder {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        Folder {
            _root: Arc::clone(&self.root),
            path: self.root.path().join(number.to_string()),
        }
    }
}

impl Folder {
    pub(crate) async fn open(self, options: PackOptions) -> PackChunks {
        self.try_open(options).await.unwrap()
    }

    pub(crate) async fn try_open(&self, options: PackOptions) -> Result<PackChunks> {
        PackChunks::open(&self.path, runtime(seed()), options).await
    }

    pub(crate) async fn reopen(&self) -> PackChunks {
        self.try_open(PackOptions::default()).await.unwrap()
    }

    pub(crate) fn packs(&self) -> PathBuf {
        self.path.join("packs")
    }

    /// The pack files with this extension.
    pub(crate) fn files(&self, extension: &str) -> Vec<PathBuf> {
        let mut files: Vec<_> = std::fs::read_dir(self.packs())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .collect();
        files.sort();
        files
    }

    /// Copies what is on disk now, as a crash would leave it, except that nothing unsynced is lost.
    pub(crate) fn copy_to(&self, target: &Self) {
        copy(&self.path, &target.path);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn chunk(text: &str) -> NewChunk {
    let hash = ChunkHash::of(text.as_bytes());
    NewChunk {
        hash,
        kind: ChunkKind::Data,
        chunk: encode_chunk(text.as_bytes()),
    }
}

/// A chunk whose encoding does not depend on the version of zstd.
pub(crate) fn raw_chunk(plaintext: &[u8], kind: ChunkKind) -> NewChunk {
    let bytes = Bytes::copy_from_slice(plaintext);
    let plain_len = plaintext.len() as u32;
    let plain_crc32 = crc32fast::hash(plaintext);
    let chunk = EncodedChunk {
        codec: Codec::Raw,
        plain_len,
        plain_crc32,
        bytes,
    };
    NewChunk {
        hash: ChunkHash::of(plaintext),
        kind,
        chunk,
    }
}

pub(crate) async fn has(store: &PackChunks, new: &NewChunk) -> bool {
    match store.get(&new.hash).await.unwrap() {
        Some(found) => {
            assert_eq!(found, new.chunk);
            true
        }
        None => false,
    }
}
