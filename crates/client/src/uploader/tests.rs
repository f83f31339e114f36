//! What reaches the server, against a server in memory and a real folder.

mod ahead;
mod edits;

use std::fs;

use cairn_api::error::ErrorCode;
use cairn_core::ids::NodeId;
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, Place};
use tempfile::TempDir;

use super::*;
use crate::fs::os::OsFilesystem;
use crate::progress::Route;
use crate::remote::fake::{Counted, FakeRemote, chunked, noise, test_runtime};
use crate::state::StateBatch;
use crate::state::memory::MemoryState;

struct Bench {
    folder: TempDir,
    remote: Arc<FakeRemote>,
    uploader: Uploader,
}

fn bench() -> Bench {
    let folder = TempDir::new().unwrap();
    let os = OsFilesystem::open(folder.path()).unwrap();
    os.adopt_root("root").unwrap();
    let remote = Arc::new(FakeRemote::default());
    let uploader = Uploader {
        remote: remote.clone(),
        fs: Arc::new(os),
        state: Arc::new(MemoryState::new()),
        runtime: test_runtime(),
        namespace: NamespaceId::new(77).unwrap(),
        progress: Progress::new(),
        hot: HotSignatures::default(),
        pace: Pace::default(),
    };
    Bench {
        folder,
        remote,
        uploader,
    }
}

impl Bench {
    /// Writes a file and says that it is new.
    fn new_file(&self, name: &str, bytes: &[u8]) -> Piece {
        fs::write(self.folder.path().join(name), bytes).unwrap();
        self.piece(name, chunked(bytes).0)
    }

    fn piece(&self, name: &str, content: FileContent) -> Piece {
        let path = DiskPath::root().join(name);
        let metadata = self.uploader.fs.metadata(&path).unwrap().unwrap();
        let op = Op::Create {
            node: NodeId::random(self.uploader.runtime.entropy.as_ref()),
            place: Place {
                parent: NodeId::ROOT,
                name: NodeName::new(name).unwrap(),
            },
            content: Content::File(content.clone()),
            attributes: Attributes::default(),
        };
        Piece {
            group: vec![op],
            files: vec![FileToSend {
                path,
                fingerprint: metadata.fingerprint,
                content,
            }],
        }
    }

    /// Sends to the end, settling each commit.
    async fn send(&self, pieces: Vec<Piece>) -> Result<Vec<CommitResult>, UploadError> {
        self.send_asking(pieces, Dedup::Ask).await
    }

    async fn send_asking(&self, pieces: Vec<Piece>, dedup: Dedup) -> Result<Vec<CommitResult>, UploadError> {
        let mut results = Vec::new();
        let mut sending = self.uploader.send(pieces, dedup);
        while let Some(result) = sending.next().await? {
            let batch = StateBatch {
                settled: result.op_id,
                ..StateBatch::default()
            };
            self.uploader.state.apply(self.uploader.namespace, batch).await?;
            results.push(result);
        }
        Ok(results)
    }
}

fn outcomes(results: &[CommitResult]) -> Vec<(usize, &PieceOutcome)> {
    let mut outcomes: Vec<_> = results
        .iter()
        .flat_map(|result| &result.outcomes)
        .map(|(index, outcome)| (*index, outcome))
        .collect();
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes
}

fn all_applied(results: &[CommitResult], count: usize) -> bool {
    let outcomes = outcomes(results);
    outcomes.len() == count
        && outcomes
            .iter()
            .all(|(_, outcome)| matches!(outcome, PieceOutcome::Applied { .. }))
}

fn content_of(piece: &Piece) -> FileContent {
    piece.files[0].content.clone()
}

#[tokio::test]
async fn a_thousand_small_files_take_one_request() {
    let bench = bench();
    let pieces = (0..1_000).map(|index| bench.new_file(&format!("f{index}"), &noise(index, 2_000)));
    let pieces: Vec<_> = pieces.collect();
    let contents: Vec<_> = pieces.iter().map(content_of).collect();
    let results = bench.send(pieces).await.unwrap();
    assert!(all_applied(&results, 1_000));
    assert_eq!(bench.remote.commits().len(), 1);
    assert_eq!(Counted::get(&bench.remote.counted.haves), 0);
    assert_eq!(Counted::get(&bench.remote.counted.puts), 0);
    for (index, content) in contents.iter().enumerate() {
        assert_eq!(bench.remote.read(content), noise(index as u64, 2_000));
    }
    let progress = bench.uploader.progress.snapshot();
    assert_eq!((progress.up.files_done, progress.up.files_total), (1_000, 1_000));
    assert_eq!(
        (progress.up.bytes_done, progress.up.bytes_total),
        (2_000_000, 2_000_000)
    );
    assert_eq!(
        bench.uploader.progress.requests_of(Route::Commit),
        0,
        "the fake counts nothing"
    );
}

#[tokio::test]
async fn bodies_stay_within_their_bound_whatever_the_files_are() {
    let bench = bench();
    let pieces = (0..60).map(|index| bench.new_file(&format!("f{index}"), &noise(index, 700_000)));
    let results = bench.send(pieces.collect()).await.unwrap();
    assert!(all_applied(&results, 60));
    let commits = bench.remote.commits();
    assert_eq!(commits.iter().map(|commit| commit.groups).sum::<usize>(), 60);
    assert!(commits.len() <= 7, "{} commits for 42 MB", commits.len());
    let groups = commits[0].groups;
    assert!(
        groups <= 3,
        "others wait for {groups} files before they see the first"
    );
}

#[tokio::test]
async fn equal_chunks_are_sent_once() {
    let bench = bench();
    let bytes = noise(1, 900_000);
    let pieces = (0..10).map(|index| bench.new_file(&format!("copy{index}"), &bytes));
    let results = bench.send(pieces.collect()).await.unwrap();
    assert!(all_applied(&results, 10));
    let sent: Vec<_> = bench
        .remote
        .commits()
        .into_iter()
        .flat_map(|commit| commit.chunks)
        .collect();
    let different: HashSet<_> = sent.iter().copied().collect();
    assert_eq!(sent.len(), different.len());

    let again = bench.new_file("again", &bytes);
    let before = bench.remote.commits().len();
    assert!(all_applied(&bench.send(vec![again]).await.unwrap(), 1));
    let sent: usize = bench.remote.commits()[before..]
        .iter()
        .map(|commit| commit.chunks.len())
        .sum();
    assert_eq!(sent, 0, "what the server has is not sent again");
}

#[tokio::test]
async fn chunks_that_the_server_misses_are_sent_with_another_operation() {
    let bench = bench();
    let bytes = noise(3, 600_000);
    let piece = bench.new_file("a", &bytes);
    let content = content_of(&piece);
    bench.remote.faults(|faults| faults.boasts = true);
    let results = bench.send(vec![piece]).await.unwrap();
    assert!(all_applied(&results, 1));
    assert!(results[0].outcomes.is_empty());
    let commits = bench.remote.commits();
    assert_eq!(commits.len(), 2);
    assert_ne!(commits[0].op_id, commits[1].op_id);
    assert!(commits[0].chunks.is_empty());
    assert_eq!(bench.remote.read(&content), bytes);
}

#[tokio::test]
async fn a_large_file_that_the_server_only_boasts_of_is_sent_after_all() {
    let bench = bench();
    let bytes = noise(4, 5_000_000);
    let piece = bench.new_file("large", &bytes);
    let content = content_of(&piece);
    bench.remote.faults(|faults| faults.boasts = true);
    assert!(all_applied(&bench.send(vec![piece]).await.unwrap(), 1));
    assert_eq!(bench.remote.read(&content), bytes);
}

#[tokio::test]
async fn a_file_that_changed_holds_back_nobody_else() {
    let bench = bench();
    let mut pieces: Vec<_> = (0..3)
        .map(|index| bench.new_file(&format!("f{index}"), &noise(index, 50_000)))
        .collect();
    fs::write(bench.folder.path().join("f1"), b"shorter").unwrap();
    pieces.push(bench.new_file("gone", b"gone"));
    fs::remove_file(bench.folder.path().join("gone")).unwrap();
    let results = bench.send(pieces).await.unwrap();
    let outcomes = outcomes(&results);
    assert!(matches!(outcomes[0].1, PieceOutcome::Applied { .. }));
    assert!(matches!(outcomes[1].1, PieceOutcome::FileChanged { path } if path.to_string() == "f1"));
    assert!(matches!(outcomes[2].1, PieceOutcome::Applied { .. }));
    assert!(matches!(outcomes[3].1, PieceOutcome::FileChanged { .. }));
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_not_committed() {
    let bench = bench();
    let piece = bench.new_file("large", &noise(5, 30_000_000));
    let path = bench.folder.path().join("large");
    bench.remote.faults(|faults| {
        faults.on_put = Some(Box::new(move || {
            let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            std::io::Write::write_all(&mut &file, b"more").unwrap();
        }));
    });
    let results = bench.send(vec![piece]).await.unwrap();
    assert!(matches!(
        outcomes(&results)[0].1,
        PieceOutcome::FileChanged { .. }
    ));
    assert!(bench.remote.commits().is_empty());
    assert_eq!(results[0].op_id, None);
}

#[tokio::test]
async fn a_file_whose_pages_are_remembered_is_sent_as_it_was_cut() {
    let bench = bench();
    let bytes = noise(31, 30 << 20);
    let piece = bench.new_file("large", &bytes);
    let (content, chunks) = chunked(&bytes);
    let pages: Vec<_> = chunks
        .iter()
        .filter(|chunk| cairn_core::manifest::Page::decode(chunk).is_ok())
        .map(|page| cairn_core::manifest::EncodedPage {
            hash: ChunkHash::of(page),
            bytes: page.clone(),
        })
        .collect();
    assert!(!pages.is_empty());
    bench.uploader.state.keep_pages(&pages).await.unwrap();
    let results = bench.send(vec![piece]).await.unwrap();
    assert!(all_applied(&results, 1));

    // Other bytes under the fingerprint that is remembered are not taken for those.
    let mut other = bytes.clone();
    other[29 << 20] ^= 1;
    fs::write(bench.folder.path().join("large"), &other).unwrap();
    let forged = bench.piece("large", content);
    let results = bench.send(vec![forged]).await.unwrap();
    assert!(matches!(
        outcomes(&results)[..],
        [(0, PieceOutcome::FileChanged { .. })]
    ));
}

#[tokio::test]
async fn a_hundred_megabytes_keep_within_their_share_of_memory() {
    let bench = bench();
    let bytes = noise(6, 100 << 20);
    let piece = bench.new_file("large", &bytes);
    let content = content_of(&piece);
    assert!(all_applied(&bench.send(vec![piece]).await.unwrap(), 1));
    let counted = &bench.remote.counted;
    assert!(
        Counted::get(&counted.most_in_flight) <= 32 << 20,
        "{}",
        Counted::get(&counted.most_in_flight)
    );
    assert!(
        Counted::get(&counted.puts) <= 16,
        "{} requests",
        Counted::get(&counted.puts)
    );
    assert_eq!(bench.remote.read(&content), bytes);
    assert_eq!(bench.uploader.progress.snapshot().up.bytes_done, 100 << 20);
}

#[tokio::test]
async fn a_file_of_zeros_is_hardly_anything() {
    let bench = bench();
    let piece = bench.new_file("zeros", &vec![0; 80 << 20]);
    assert!(all_applied(&bench.send(vec![piece]).await.unwrap(), 1));
    assert!(Counted::get(&bench.remote.counted.chunks_put) <= 8);
}

#[tokio::test]
async fn a_cut_upload_goes_on_where_it_was() {
    a_cut_upload_goes_on(Dedup::Ask).await;
}

#[tokio::test]
async fn a_cut_first_upload_goes_on_where_it_was() {
    a_cut_upload_goes_on(Dedup::Skip).await;
}

async fn a_cut_upload_goes_on(dedup: Dedup) {
    let bench = bench();
    let bytes = noise(7, 80 << 20);
    let piece = bench.new_file("large", &bytes);
    let content = content_of(&piece);
    bench.remote.faults(|faults| faults.puts_left = Some(5));
    let error = bench.send_asking(vec![piece.clone()], dedup).await.unwrap_err();
    assert!(matches!(
        error,
        UploadError::Remote(RemoteError::Unreachable { .. })
    ));
    assert_eq!(
        bench
            .uploader
            .state
            .in_flight(bench.uploader.namespace)
            .await
            .unwrap(),
        None
    );
    let first = Counted::get(&bench.remote.counted.chunks_put);
    bench.remote.faults(|faults| faults.puts_left = None);
    assert!(all_applied(
        &bench.send_asking(vec![piece], dedup).await.unwrap(),
        1
    ));
    let second = Counted::get(&bench.remote.counted.chunks_put) - first;
    assert!(
        first > 300 && first + second <= chunked(&bytes).1.len() as u64,
        "{first} and {second}"
    );
    assert_eq!(bench.remote.read(&content), bytes);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    let bench = bench();
    let piece = bench.new_file("a", &noise(8, 40_000));
    let group = piece.group.clone();
    bench.remote.faults(|faults| faults.loses_reply = true);
    bench.send(vec![piece]).await.unwrap_err();
    let replayed = bench.uploader.replay_in_flight().await.unwrap().unwrap();
    assert_eq!(replayed.groups, vec![group]);
    assert!(matches!(&replayed.outcomes[..], [PieceOutcome::Applied { .. }]));
    assert_eq!(bench.remote.commits().len(), 1);
    let batch = StateBatch {
        settled: Some(replayed.op_id),
        ..StateBatch::default()
    };
    bench
        .uploader
        .state
        .apply(bench.uploader.namespace, batch)
        .await
        .unwrap();
    assert!(bench.uploader.replay_in_flight().await.unwrap().is_none());
}

#[tokio::test]
async fn a_commit_that_never_arrived_says_so_when_replayed() {
    let bench = bench();
    let piece = bench.new_file("a", &noise(9, 40_000));
    bench.remote.faults(|faults| faults.loses_commit = true);
    bench.send(vec![piece]).await.unwrap_err();
    let replayed = bench.uploader.replay_in_flight().await.unwrap().unwrap();
    assert!(matches!(
        &replayed.outcomes[..],
        [PieceOutcome::Refused {
            refusal: Refusal::MissingChunks { .. },
            ..
        }]
    ));
}

#[tokio::test]
async fn a_commit_that_is_turned_down_for_good_is_settled() {
    let bench = bench();
    let piece = bench.new_file("a", &noise(10, 4_000));
    bench
        .remote
        .faults(|faults| faults.rejects = Some(ErrorCode::BadRequest));
    let results = bench.send(vec![piece]).await.unwrap();
    assert!(results[0].op_id.is_some());
    assert!(
        matches!(outcomes(&results)[0].1, PieceOutcome::Rejected(error) if error.code == ErrorCode::BadRequest)
    );
    assert_eq!(
        bench
            .uploader
            .state
            .in_flight(bench.uploader.namespace)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_commit_that_is_put_off_stays_in_flight() {
    let bench = bench();
    let piece = bench.new_file("a", &noise(11, 4_000));
    bench
        .remote
        .faults(|faults| faults.rejects = Some(ErrorCode::Unavailable));
    bench.send(vec![piece]).await.unwrap_err();
    let in_flight = bench
        .uploader
        .state
        .in_flight(bench.uploader.namespace)
        .await
        .unwrap();
    assert!(in_flight.is_some());
}

#[tokio::test]
async fn an_empty_file_and_a_folder_need_no_chunks() {
    let bench = bench();
    let empty = bench.new_file("empty", b"");
    let folder = Piece {
        group: vec![Op::Create {
            node: NodeId::new(4_711).unwrap(),
            place: Place {
                parent: NodeId::ROOT,
                name: NodeName::new("folder").unwrap(),
            },
            content: Content::Directory,
            attributes: Attributes::default(),
        }],
        files: Vec::new(),
    };
    let results = bench.send(vec![folder, empty]).await.unwrap();
    assert!(all_applied(&results, 2));
    assert_eq!(bench.remote.commits().len(), 1);
    assert!(bench.send(Vec::new()).await.unwrap().is_empty());
}
