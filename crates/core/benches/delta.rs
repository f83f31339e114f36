//! What a signature and a delta cost and save, for a chunk of mean length weighted by bytes and for the longest:
//! `cargo bench -p cairn-core --bench delta`. The lengths on the wire are printed first.

use cairn_core::delta::{Signature, apply, make};
use criterion::{BenchmarkId, Criterion, Throughput};

fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&[seed])
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// An old chunk and what became of it.
fn cases(len: usize) -> [(&'static str, Vec<u8>, Vec<u8>); 4] {
    let old = noise(1, len);
    let mut changed = old.clone();
    changed[len / 3] ^= 1;
    let inserted = [&old[..len / 3], &noise(2, 1_024), &old[len / 3..len - 1_024]].concat();
    // A chunk grows only at the end of a file.
    let appended = [&old[..len - 20_000], &noise(3, 20_000)].concat();
    [
        ("byte_changed", old.clone(), changed),
        ("kilobyte_inserted", old.clone(), inserted),
        ("appended", old[..len - 20_000].to_vec(), appended),
        ("unrelated", old, noise(4, len)),
    ]
}

#[expect(clippy::print_stdout, reason = "lengths are half of what is measured")]
fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for len in [80 * 1024, 256 * 1024] {
        let mut group = criterion.benchmark_group(format!("delta_{}_kib", len / 1024));
        group.throughput(Throughput::Bytes(len as u64));
        for (name, old, new) in cases(len) {
            let signature = Signature::of(&old);
            let delta = make(&[&signature], &new);
            println!(
                "{name}: {} bytes down and {} up for {len}",
                signature.encode().len(),
                delta.len()
            );
            group.bench_function(BenchmarkId::new("make", name), |bencher| {
                bencher.iter(|| make(&[&signature], &new));
            });
            group.bench_function(BenchmarkId::new("apply", name), |bencher| {
                bencher.iter(|| apply(&old, &delta, new.len()));
            });
        }
        let old = noise(1, len);
        group.bench_function("signature", |bencher| bencher.iter(|| Signature::of(&old)));
        group.finish();
    }
    criterion.final_summary();
}
