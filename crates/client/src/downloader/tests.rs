//! What reaches the stage, against a server in memory and a real folder.

use std::fs;

use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Place};
use cairn_core::tree::{Entry, Substance};
use tempfile::TempDir;

use super::*;
use crate::fs::faulty::{Fault, FaultyFilesystem};
use crate::fs::os::OsFilesystem;
use crate::remote::fake::{Counted, CountedThreads, FakeRemote, chunked, noise, test_runtime};
use crate::state::memory::MemoryState;
use crate::state::{LocalChange, LocalRow, StateBatch, TreeChange};
use cairn_core::ids::ChunkHash;
use cairn_core::manifest::{EncodedPage, Manifest, Page};

struct Bench {
    folder: TempDir,
    remote: Arc<FakeRemote>,
    downloader: Downloader,
}

fn bench() -> Bench {
    let folder = TempDir::new().unwrap();
    let os = OsFilesystem::open(folder.path()).unwrap();
    os.adopt_root("root").unwrap();
    let remote = Arc::new(FakeRemote::default());
    let downloader = Downloader {
        remote: remote.clone(),
        fs: Arc::new(os),
        state: Arc::new(MemoryState::new()),
        runtime: test_runtime(),
        namespace: NamespaceId::new(77).unwrap(),
        progress: Progress::new(),
    };
    Bench {
        folder,
        remote,
        downloader,
    }
}

/// The same twice, where files share no bytes and where they do.
fn benches() -> [Bench; 2] {
    let mut sharing = bench();
    let shared = FaultyFilesystem::new(Arc::clone(&sharing.downloader.fs)).with_clones();
    sharing.downloader.fs = Arc::new(shared);
    [bench(), sharing]
}

impl Bench {
    /// Makes a file on the server and wants it.
    fn wanted(&self, id: i64, bytes: &[u8]) -> Wanted {
        let node = NodeId::new(id).unwrap();
        let content_seq = Seq::new(id).unwrap();
        let content = self.remote.store(node, content_seq, bytes);
        Wanted {
            node,
            content_seq,
            executable: id % 2 == 0,
            mtime: Mtime::new(1_600_000_000, 5_000_000).unwrap(),
            staged: part_name(node, content.file_id),
            path: format!("f{id}"),
            content,
        }
    }

    async fn download(&self, wanted: &[Wanted]) -> Vec<Downloaded> {
        let mut results: Vec<_> = self.downloader.download(wanted.to_vec()).collect().await;
        results.sort_by_key(|(node, _)| *node);
        results
    }

    fn staged(&self, wanted: &Wanted) -> Vec<u8> {
        let metadata = self.downloader.fs.staged(&wanted.staged).unwrap().unwrap();
        assert_eq!(metadata.executable, wanted.executable);
        assert_eq!(metadata.fingerprint.mtime, wanted.mtime);
        fs::read(self.folder.path().join(".cairn/stage").join(&wanted.staged)).unwrap()
    }

    /// Puts a file into the folder and the state that says what it holds.
    async fn local_file(&self, name: &str, bytes: &[u8], content: &FileContent) {
        fs::write(self.folder.path().join(name), bytes).unwrap();
        let path = DiskPath::root().join(name);
        let metadata = self.downloader.fs.metadata(&path).unwrap().unwrap();
        let row = LocalRow {
            node: NodeId::new(9_999).unwrap(),
            entry: Entry {
                place: Place {
                    parent: NodeId::ROOT,
                    name: NodeName::new(name).unwrap(),
                },
                substance: Substance::File {
                    file_id: content.file_id,
                    size: content.size,
                },
                attributes: Attributes::default(),
                place_seq: Seq::ZERO,
                content_seq: Seq::ZERO,
            },
            disk_name: None,
            fingerprint: metadata.fingerprint,
            is_unsure: false,
        };
        let batch = StateBatch {
            local: vec![LocalChange::Put(row)],
            ..StateBatch::default()
        };
        self.downloader
            .state
            .apply(self.downloader.namespace, batch)
            .await
            .unwrap();
    }
}

fn all_done(results: &[Downloaded]) -> bool {
    results.iter().all(|(_, result)| result.is_ok())
}

#[tokio::test]
async fn a_thousand_small_files_come_with_one_request_and_few_changes_of_threads() {
    let mut bench = bench();
    let threads = CountedThreads::of(&mut bench.downloader.runtime);
    let wanted: Vec<_> = (1_000..2_000)
        .map(|id| bench.wanted(id, &noise(id as u64, 3_000)))
        .collect();
    let results = bench.download(&wanted).await;
    assert_eq!(results.len(), 1_000);
    assert!(all_done(&results));
    assert_eq!(Counted::get(&bench.remote.counted.fetches), 1);
    assert!(threads.count() < 32, "{}", threads.count());
    for wanted in &wanted {
        assert_eq!(bench.staged(wanted), noise(wanted.node.get() as u64, 3_000));
    }
    let down = bench.downloader.progress.snapshot().down;
    assert_eq!(
        (down.files_done, down.bytes_done, down.bytes_total),
        (1_000, 3_000_000, 3_000_000)
    );
}

#[tokio::test]
async fn large_and_small_and_empty_files_arrive_whole() {
    let bench = bench();
    let sizes = [0, 1, 20_000, 1 << 20, (1 << 20) + 1, 9_000_000, 60_000_000];
    let wanted: Vec<_> = sizes
        .iter()
        .zip(1_000..)
        .map(|(size, id)| bench.wanted(id, &noise(id as u64, *size)))
        .collect();
    assert!(matches!(wanted[6].content.manifest, Manifest::Tree { .. }));
    let results = bench.download(&wanted).await;
    assert!(all_done(&results), "{results:?}");
    for (wanted, size) in wanted.iter().zip(sizes) {
        assert_eq!(bench.staged(wanted), noise(wanted.node.get() as u64, size));
    }
    let down = bench.downloader.progress.snapshot().down;
    assert_eq!(down.bytes_done, down.bytes_total);
    assert_eq!(down.files_done, 7);
}

#[tokio::test]
async fn a_file_of_zeros_is_one_page_over_and_over() {
    let bench = bench();
    let wanted = bench.wanted(1_000, &vec![0; 300 << 20]);
    assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
    assert!(bench.staged(&wanted).iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_was() {
    let bench = bench();
    let bytes = noise(1, 60_000_000);
    let wanted = bench.wanted(1_000, &bytes);
    bench.remote.faults(|faults| faults.frames_left = Some(400));
    let results = bench.download(std::slice::from_ref(&wanted)).await;
    assert!(matches!(&results[0].1, Err(DownloadError::Remote(_))));
    let first = Counted::get(&bench.remote.counted.bytes_fetched);
    bench.remote.faults(|faults| faults.frames_left = None);
    assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
    let second = Counted::get(&bench.remote.counted.bytes_fetched) - first;
    assert_eq!(bench.staged(&wanted), bytes);
    // The pages come again.
    assert!(first + second < 60_100_000, "{first} then {second}");
}

#[tokio::test]
async fn small_files_that_arrived_before_a_cut_are_done() {
    let bench = bench();
    let wanted: Vec<_> = (1_000..1_010)
        .map(|id| bench.wanted(id, &noise(id as u64, 5_000)))
        .collect();
    bench.remote.faults(|faults| faults.frames_left = Some(4));
    let results = bench.download(&wanted).await;
    assert_eq!(results.iter().filter(|(_, result)| result.is_ok()).count(), 4);
    assert_eq!(results.len(), 10);
}

#[tokio::test]
async fn small_files_whose_sync_fails_are_not_taken_for_done() {
    let mut bench = bench();
    let wanted: Vec<_> = (1..=20)
        .map(|id| bench.wanted(id, &noise(id as u64, 3_000)))
        .collect();
    let faulty = Arc::new(FaultyFilesystem::new(Arc::clone(&bench.downloader.fs)));
    faulty.inject("sync_group", Fault::Before(std::io::ErrorKind::StorageFull));
    bench.downloader.fs = faulty;
    let results = bench.download(&wanted).await;
    let is_full = |result: &Downloaded| matches!(&result.1, Err(DownloadError::Fs(error)) if error.is_full());
    assert!(results.len() == 20 && results.iter().all(is_full));
    let results = bench.download(&wanted).await;
    assert!(all_done(&results));
    for wanted in &wanted {
        bench.staged(wanted);
    }
}

#[tokio::test]
async fn a_damaged_chunk_spoils_its_own_file_only() {
    let bench = bench();
    let wanted: Vec<_> = (1_000..1_005)
        .map(|id| bench.wanted(id, &noise(id as u64, 5_000)))
        .collect();
    let Manifest::Inline(entries) = &wanted[2].content.manifest else {
        panic!("a small manifest")
    };
    let damaged = entries[0].hash;
    bench.remote.faults(|faults| faults.damages = Some(damaged));
    let results = bench.download(&wanted).await;
    let failed: Vec<_> = results.iter().filter(|(_, result)| result.is_err()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].0, wanted[2].node);
    assert!(matches!(
        &failed[0].1,
        Err(DownloadError::Remote(error)) if matches!(**error, RemoteError::DamagedChunk { .. })
    ));
    assert!(bench.downloader.fs.staged(&wanted[2].staged).unwrap().is_none());
    assert!(all_done(&bench.download(&wanted).await));
}

#[tokio::test]
async fn a_damaged_chunk_of_a_large_file_is_never_written() {
    let bench = bench();
    let bytes = noise(2, 5_000_000);
    let wanted = bench.wanted(1_000, &bytes);
    let Manifest::Inline(entries) = &wanted.content.manifest else {
        panic!("a small manifest")
    };
    let damaged = entries[10].hash;
    bench.remote.faults(|faults| faults.damages = Some(damaged));
    let results = bench.download(std::slice::from_ref(&wanted)).await;
    assert!(matches!(
        &results[0].1,
        Err(DownloadError::Remote(error)) if matches!(**error, RemoteError::DamagedChunk { .. })
    ));
    assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
    assert_eq!(bench.staged(&wanted), bytes);
}

#[tokio::test]
async fn damage_of_the_staged_part_is_repaired() {
    let bench = bench();
    let bytes = noise(3, 9_000_000);
    let wanted = bench.wanted(1_000, &bytes);
    assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
    let path = bench.folder.path().join(".cairn/stage").join(&wanted.staged);
    let mut held = fs::read(&path).unwrap();
    held[4_000_000] ^= 1;
    held.truncate(8_000_000);
    fs::write(&path, held).unwrap();
    let before = Counted::get(&bench.remote.counted.bytes_fetched);
    assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
    assert_eq!(bench.staged(&wanted), bytes);
    assert!(Counted::get(&bench.remote.counted.bytes_fetched) - before < 2_000_000);
}

#[tokio::test]
async fn what_the_device_has_is_copied() {
    for (bench, size) in [30_000, 7_000_000, 40_000_000]
        .into_iter()
        .flat_map(|size| benches().map(|bench| (bench, size)))
    {
        let bytes = noise(4, size);
        let wanted = bench.wanted(1_000, &bytes);
        bench.local_file("here", &bytes, &wanted.content).await;
        assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
        assert_eq!(bench.staged(&wanted), bytes);
        let fetched = Counted::get(&bench.remote.counted.bytes_fetched);
        assert!(fetched < 100_000, "no more than pages: {fetched}");
    }
}

#[tokio::test]
async fn a_local_file_that_is_not_what_it_was_is_not_believed() {
    for (bench, size) in [30_000, 7_000_000]
        .into_iter()
        .flat_map(|size| benches().map(|bench| (bench, size)))
    {
        let bytes = noise(5, size);
        let wanted = bench.wanted(1_000, &bytes);
        let mut other = bytes.clone();
        other[size / 2] ^= 1;
        bench.local_file("here", &other, &wanted.content).await;
        assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
        assert_eq!(bench.staged(&wanted), bytes);
    }
}

#[tokio::test]
async fn a_version_that_is_gone_is_told_from_a_failure() {
    let bench = bench();
    for size in [10, 3_000_000, 40_000_000] {
        let mut wanted = bench.wanted(1_000, &noise(6, size));
        wanted.content_seq = Seq::new(5).unwrap();
        let results = bench.download(&[wanted]).await;
        assert!(matches!(results[0].1, Err(DownloadError::NotFound)), "{size}");
    }
}

#[tokio::test]
async fn chunks_that_the_server_lost_are_told() {
    let bench = bench();
    let wanted = bench.wanted(1_000, &noise(7, 3_000_000));
    bench.remote.forget_chunks();
    let results = bench.download(&[wanted]).await;
    assert!(matches!(results[0].1, Err(DownloadError::Damaged)));
}

#[tokio::test]
async fn a_manifest_of_other_bytes_is_refused() {
    let bench = bench();
    let mut wanted = bench.wanted(1_000, &noise(8, 3_000));
    wanted.content.file_id = chunked(b"other").0.file_id;
    let results = bench.download(&[wanted]).await;
    assert!(matches!(results[0].1, Err(DownloadError::OtherFile)));
}

impl Bench {
    /// Puts an older version of a file into the folder, the state and the server's history.
    async fn older(&self, id: i64, bytes: &[u8], knows_pages: bool) {
        let (node, seq) = (NodeId::new(id).unwrap(), Seq::new(id - 1).unwrap());
        let content = self.remote.store(node, seq, bytes);
        let name = format!("f{id}");
        fs::write(self.folder.path().join(&name), bytes).unwrap();
        let path = DiskPath::root().join(&name);
        let entry = Entry {
            place: Place {
                parent: NodeId::ROOT,
                name: NodeName::new(&name).unwrap(),
            },
            substance: Substance::File {
                file_id: content.file_id,
                size: content.size,
            },
            attributes: Attributes::default(),
            place_seq: seq,
            content_seq: seq,
        };
        let row = LocalRow {
            node,
            entry: entry.clone(),
            disk_name: None,
            fingerprint: self.downloader.fs.metadata(&path).unwrap().unwrap().fingerprint,
            is_unsure: false,
        };
        let batch = StateBatch {
            local: vec![LocalChange::Put(row)],
            synced: vec![TreeChange::Put(node, entry)],
            contents: vec![content],
            ..StateBatch::default()
        };
        let state = &self.downloader.state;
        state.apply(self.downloader.namespace, batch).await.unwrap();
        let pages = chunked(bytes)
            .1
            .into_iter()
            .filter(|bytes| Page::decode(bytes).is_ok());
        let pages: Vec<_> = pages
            .map(|bytes| EncodedPage {
                hash: ChunkHash::of(&bytes),
                bytes,
            })
            .collect();
        if knows_pages {
            state.keep_pages(&pages).await.unwrap();
        }
    }

    fn fetched(&self) -> u64 {
        Counted::get(&self.remote.counted.bytes_fetched)
    }
}

#[tokio::test]
async fn of_an_edit_only_what_changed_comes() {
    for bench in benches() {
        let old = noise(80, 40 << 20);
        bench.older(70, &old, true).await;
        let mut new = old.clone();
        new[20 << 20] ^= 1;
        new.splice(30 << 20..30 << 20, noise(81, 100));
        let wanted = bench.wanted(70, &new);
        assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
        assert!(bench.staged(&wanted) == new);
        assert!(bench.fetched() < 1_500, "{} bytes", bench.fetched());
        // What came is remembered: the next version is compared with this one.
        let pages = chunked(&new)
            .1
            .into_iter()
            .filter(|bytes| Page::decode(bytes).is_ok());
        let names: Vec<_> = pages.map(|bytes| ChunkHash::of(&bytes)).collect();
        let kept = bench.downloader.state.pages(&names).await.unwrap();
        assert!(kept.iter().all(Option::is_some));
    }
}

#[tokio::test]
async fn of_a_few_small_edits_only_what_changed_comes() {
    let bench = bench();
    let edit = |id: i64| {
        let old = noise(id as u64, 100 << 10);
        let mut new = old.clone();
        new[50 << 10] ^= 1;
        (old, new)
    };
    for id in 31..=50 {
        bench.older(id, &edit(id).0, true).await;
    }
    let wanted: Vec<_> = (31..=50).map(|id| bench.wanted(id, &edit(id).1)).collect();
    assert!(all_done(&bench.download(&wanted[..8]).await));
    assert!(bench.staged(&wanted[7]) == edit(38).1);
    assert!(bench.fetched() < 8 * 1_000, "{} bytes", bench.fetched());
    let requests = Counted::get(&bench.remote.counted.fetches);
    // Of many the bytes are the lesser cost.
    assert!(all_done(&bench.download(&wanted[8..]).await));
    assert!(bench.staged(&wanted[19]) == edit(50).1);
    assert_eq!(Counted::get(&bench.remote.counted.fetches) - requests, 1);
}

#[tokio::test]
async fn without_the_pages_of_the_older_version_the_file_comes_whole() {
    let bench = bench();
    let old = noise(82, 30 << 20);
    bench.older(70, &old, false).await;
    let mut new = old;
    new[20 << 20] ^= 1;
    let wanted = bench.wanted(70, &new);
    assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
    assert!(bench.staged(&wanted) == new);
}

#[tokio::test]
async fn an_older_version_that_is_another_meanwhile_is_not_believed() {
    for bench in benches() {
        let old = noise(83, 3 << 20);
        bench.older(70, &old, true).await;
        fs::write(bench.folder.path().join("f70"), noise(84, 3 << 20)).unwrap();
        let mut new = old;
        new[1 << 20] ^= 1;
        let wanted = bench.wanted(70, &new);
        assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
        assert!(bench.staged(&wanted) == new);
        assert!(bench.fetched() >= 3 << 20);
    }
}

#[tokio::test]
async fn a_spoilt_delta_is_found_out() {
    let bench = bench();
    let old = noise(85, 3 << 20);
    bench.older(70, &old, true).await;
    let mut new = old;
    new[1 << 20] ^= 1;
    let wanted = bench.wanted(70, &new);
    bench.remote.faults(|faults| faults.spoils_deltas = true);
    let results = bench.download(std::slice::from_ref(&wanted)).await;
    assert!(
        matches!(&results[0].1, Err(DownloadError::Remote(_))),
        "{results:?}"
    );
    bench.remote.faults(|faults| faults.spoils_deltas = false);
    assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
    assert!(bench.staged(&wanted) == new);
}

#[tokio::test]
async fn nothing_of_a_copy_comes() {
    for bench in benches() {
        let bytes = noise(84, 30 << 20);
        bench.older(70, &bytes, true).await;
        let wanted = bench.wanted(71, &bytes);
        assert!(all_done(&bench.download(std::slice::from_ref(&wanted)).await));
        assert!(bench.staged(&wanted) == bytes);
        assert_eq!(bench.fetched(), 0);
    }
}
