//! Measures commits on this machine's disk: `cargo run --release -p cairn-metadata --example commit_rate -- FOLDER`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cairn_core::change::{GroupOutcome, Op};
use cairn_core::ids::{ChunkHash, ContentHash, FileId, NodeId};
use cairn_core::manifest::{ChunkEntry, Manifest};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, FileContent, Place};
use cairn_core::time::Timestamp;
use cairn_metadata::conformance::Fixture;
use cairn_metadata::sqlite::Options;
use cairn_metadata::{Commit, Group, MetadataStore, SqliteMetadata};

const BATCH: u64 = 1_000;
const BATCHES: u64 = 50;
const SINGLES: u64 = 1_000;
const WRITERS: u64 = 64;

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn start() -> Instant {
    Instant::now()
}

fn hash(number: u64) -> ChunkHash {
    ChunkHash::of(&number.to_le_bytes())
}

/// A file of one chunk in a folder of a thousand.
fn create(folder: NodeId, number: u64) -> Op {
    let chunk = hash(number);
    let random = u64::from_le_bytes(*chunk.as_bytes().first_chunk().unwrap_or(&[0; 8]));
    Op::Create {
        node: NodeId::new((random >> 1 | 0x100) as i64).unwrap_or(NodeId::ROOT),
        place: Place {
            parent: folder,
            name: NodeName::new(format!("photo-{number:08}.jpeg")).unwrap_or_else(|error| panic!("{error}")),
        },
        content: Content::File(FileContent {
            size: 50_000,
            file_id: FileId::new(*chunk.as_bytes()),
            manifest: Manifest::Inline(vec![ChunkEntry {
                hash: chunk,
                len: 50_000,
            }]),
            content_hash: ContentHash::new(*chunk.as_bytes()),
        }),
        attributes: Attributes::default(),
    }
}

struct Bench {
    at: Fixture,
    store: Arc<SqliteMetadata>,
}

impl Bench {
    async fn grant(&self, numbers: std::ops::Range<u64>) {
        let hashes: Vec<ChunkHash> = numbers.map(hash).collect();
        let expires_at = Timestamp::from_millis(i64::MAX);
        self.store
            .grant(self.at.namespace, self.at.account.id, &hashes, 0, expires_at)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }

    async fn folder(&self, name: &str) -> NodeId {
        let (folder, op) = self.at.new_folder(NodeId::ROOT, name);
        self.commit(self.at.request(vec![vec![op]])).await;
        folder
    }

    fn request(&self, folder: NodeId, numbers: std::ops::Range<u64>) -> Commit {
        let mut request = self.at.request(Vec::new());
        request.groups = numbers
            .map(|number| Group {
                ops: vec![create(folder, number)],
                chunks: vec![hash(number)],
            })
            .collect();
        request
    }

    async fn commit(&self, commit: Commit) {
        let outcome = self
            .store
            .commit(commit)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        for group in outcome.groups {
            assert!(matches!(group, GroupOutcome::Applied { .. }), "{group:?}");
        }
    }
}

#[expect(clippy::print_stdout, reason = "a measurement prints")]
fn report(what: &str, count: u64, took: Duration) {
    println!(
        "{what}: {count} in {took:.2?}, {:.0}/s",
        count as f64 / took.as_secs_f64()
    );
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a measurement prints")]
async fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target".to_owned());
    let path = Path::new(&folder).join("commit_rate.db");
    assert!(!path.exists(), "{} exists already", path.display());
    let store = SqliteMetadata::open(&path, Options::default()).await;
    let store = Arc::new(store.unwrap_or_else(|error| panic!("{error}")));
    let bench = Arc::new(Bench {
        at: Fixture::new(store.clone()).await,
        store,
    });
    let mut spent = Duration::ZERO;
    for batch in 0..BATCHES {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let folder = bench.folder(&format!("batch-{batch}")).await;
        bench.grant(numbers.clone()).await;
        let request = bench.request(folder, numbers);
        let begun = start();
        bench.commit(request).await;
        spent += begun.elapsed();
    }
    report("files in commits of 1,000", BATCH * BATCHES, spent);
    let mut next = BATCH * BATCHES;
    // Grants expire; what stays is what a file costs.
    bench
        .store
        .remove_expired(Timestamp::from_millis(i64::MAX))
        .await
        .unwrap_or(0);
    let folder = bench.folder("singles").await;
    bench.grant(next..next + SINGLES).await;
    let begun = start();
    for number in next..next + SINGLES {
        bench.commit(bench.request(folder, number..number + 1)).await;
    }
    report("commits of one file, one at a time", SINGLES, begun.elapsed());
    next += SINGLES;
    let folder = bench.folder("concurrent").await;
    let each = 100;
    bench.grant(next..next + WRITERS * each).await;
    let before = bench.store.stats().transactions;
    let begun = start();
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let bench = bench.clone();
        writers.push(tokio::spawn(async move {
            let first = next + writer * each;
            for number in first..first + each {
                bench.commit(bench.request(folder, number..number + 1)).await;
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap_or_else(|error| panic!("{error}"));
    }
    report(
        "commits of one file, 64 at a time",
        WRITERS * each,
        begun.elapsed(),
    );
    next += WRITERS * each;
    println!(
        "transactions for those: {}",
        bench.store.stats().transactions - before
    );
    let files = next;
    let begun = start();
    let violations = bench.store.check(bench.at.namespace).await;
    println!("check of {files} files: {:.2?}, {violations:?}", begun.elapsed());
    bench.store.close().await;
    let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    println!("{bytes} bytes in the database, {} a file", bytes / files);
}
