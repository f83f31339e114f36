//! How fast a file's bytes become chunks, hashes and a manifest on one core: `cargo bench -p cairn-core`.

use std::hint::black_box;

use cairn_core::chunker::cut;
use cairn_core::content_hash::ContentHasher;
use cairn_core::file_hasher::FileHasher;
use cairn_core::ids::ChunkHash;
use cairn_core::manifest::{BuiltManifest, ChunkEntry, Manifest, ManifestBuilder};
use criterion::{Criterion, Throughput};

const DATA_BYTES: usize = 64 << 20;

fn random_bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(b"bench")
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn entries(count: usize) -> Vec<ChunkEntry> {
    (0..count)
        .map(|index| ChunkEntry {
            len: 75_000,
            ..ChunkEntry::of(&index.to_le_bytes())
        })
        .collect()
}

fn build(entries: &[ChunkEntry]) -> BuiltManifest {
    let mut builder = ManifestBuilder::new();
    for entry in entries {
        builder
            .push(*entry)
            .expect("the bench's chunks are within bounds");
    }
    builder.finish().expect("the bench's manifests fit four levels")
}

fn bytes(criterion: &mut Criterion) {
    let data = random_bytes(DATA_BYTES);
    let mut group = criterion.benchmark_group("bytes");
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(DATA_BYTES as u64));
    group.bench_function("chunker", |bencher| {
        bencher.iter(|| {
            let mut rest = data.as_slice();
            let mut count = 0;
            while !rest.is_empty() {
                rest = &rest[cut(rest)..];
                count += 1;
            }
            count
        });
    });
    group.bench_function("blake3_of_64_kib", |bencher| {
        bencher.iter(|| {
            for chunk in data.chunks(64 * 1024) {
                black_box(ChunkHash::of(chunk));
            }
        });
    });
    group.bench_function("content_hash", |bencher| {
        bencher.iter(|| {
            let mut hasher = ContentHasher::new();
            hasher.update(&data);
            hasher.finish()
        });
    });
    group.bench_function("file_hasher", |bencher| {
        bencher.iter(|| {
            let mut hasher = FileHasher::new();
            for piece in data.chunks(1 << 20) {
                hasher.update(piece).expect("64 MiB fit a manifest");
            }
            hasher.finish()
        });
    });
    group.finish();
}

fn manifests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("manifest");
    let inline = build(&entries(256)).manifest;
    let encoded = inline.encode();
    group.throughput(Throughput::Elements(256));
    group.bench_function("encode_256_chunks", |bencher| bencher.iter(|| inline.encode()));
    group.bench_function("decode_256_chunks", |bencher| {
        bencher.iter(|| Manifest::decode(&encoded))
    });
    let gigabyte = entries(14_000);
    group.throughput(Throughput::Elements(gigabyte.len() as u64));
    group.bench_function("build_14000_chunks", |bencher| bencher.iter(|| build(&gigabyte)));
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bytes(&mut criterion);
    manifests(&mut criterion);
    criterion.final_summary();
}
