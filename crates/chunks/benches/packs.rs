//! Append and read throughput of packs, and the latency of one small chunk: `cargo bench -p cairn-chunks`.
//!
//! The numbers are those of the disk that holds the temporary folder.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cairn_chunks::pack::PackOptions;
use cairn_chunks::{ChunkKind, ChunkStore, Codec, EncodedChunk, NewChunk, PackChunks};
use cairn_core::ids::ChunkHash;
use cairn_core::runtime::{BoxFuture, Clock, Entropy, Runtime, Spawner};
use cairn_core::time::Timestamp;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures::future::try_join_all;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }
}

struct Seeded(Mutex<blake3::OutputReader>);

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().expect("nobody panics with the lock").fill(buffer);
    }
}

struct Tokio;

impl Spawner for Tokio {
    fn spawn(&self, _name: &'static str, task: BoxFuture<()>) {
        tokio::spawn(task);
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        let run = tokio::task::spawn_blocking(work);
        Box::pin(async move { run.await.expect("the work does not panic") })
    }
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A chunk that no other call returns.
fn fresh(len: usize) -> NewChunk {
    let mut bytes = vec![0; len];
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    blake3::Hasher::new()
        .update(&number.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    let chunk = EncodedChunk {
        codec: Codec::Raw,
        plain_len: len as u32,
        plain_crc32: crc32fast::hash(&bytes),
        bytes: Bytes::from(bytes),
    };
    NewChunk {
        hash: ChunkHash::of(&chunk.bytes),
        kind: ChunkKind::Data,
        chunk,
    }
}

fn packs(c: &mut Criterion) {
    let tokio = tokio::runtime::Runtime::new().expect("tokio starts");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let entropy = Arc::new(Seeded(Mutex::new(blake3::Hasher::new().finalize_xof())));
    let runtime = Runtime {
        clock: Arc::new(Still),
        entropy,
        spawner: Arc::new(Tokio),
    };
    let open = PackChunks::open(folder.path(), runtime, PackOptions::default());
    let store = &tokio.block_on(open).expect("the store opens");

    let mut group = c.benchmark_group("packs");
    group.sample_size(20);
    for in_flight in [1, 4] {
        group.throughput(Throughput::Bytes(in_flight * 128 * 64 * 1024));
        group.bench_function(
            format!("append 64 KiB chunks, {in_flight} puts of 8 MiB at once"),
            |b| {
                let batches = || -> Vec<Vec<_>> {
                    (0..in_flight)
                        .map(|_| (0..128).map(|_| fresh(64 * 1024)).collect())
                        .collect()
                };
                b.to_async(&tokio).iter_batched(
                    batches,
                    |batches| try_join_all(batches.into_iter().map(|batch| store.put(batch))),
                    BatchSize::PerIteration,
                );
            },
        );
    }
    for in_flight in [1, 64] {
        group.throughput(Throughput::Elements(in_flight));
        group.bench_function(format!("put one 4 KiB chunk, {in_flight} at once"), |b| {
            let batches = || -> Vec<_> { (0..in_flight).map(|_| fresh(4 * 1024)).collect() };
            b.to_async(&tokio).iter_batched(
                batches,
                |chunks| try_join_all(chunks.into_iter().map(|new| store.put(vec![new]))),
                BatchSize::PerIteration,
            );
        });
    }
    let chunks: Vec<_> = (0..1024).map(|_| fresh(64 * 1024)).collect();
    let hashes: Vec<_> = chunks.iter().map(|new| new.hash).collect();
    tokio.block_on(store.put(chunks)).expect("the chunks are put");
    for in_flight in [1, 8] {
        group.throughput(Throughput::Bytes(in_flight * 64 * 1024));
        group.bench_function(format!("get 64 KiB chunks, {in_flight} at once"), |b| {
            let mut next = hashes.iter().cycle();
            b.to_async(&tokio).iter_batched(
                || -> Vec<_> { (&mut next).take(in_flight as usize).collect() },
                |hashes| try_join_all(hashes.into_iter().map(|hash| store.get(hash))),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
    tokio.block_on(store.close()).expect("the store closes");
}

criterion_group!(benches, packs);
criterion_main!(benches);
