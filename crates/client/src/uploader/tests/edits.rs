//! What edits and copies of large files cost.

use cairn_api::error::ErrorCode;
use cairn_core::manifest::Manifest;
use cairn_core::node::{Attributes, Content};
use cairn_core::tree::Entry;

use super::{Bench, all_applied, bench, content_of, outcomes};
use crate::remote::fake::{Counted, noise};
use crate::state::memory::MemoryState;
use crate::state::{StateBatch, TreeChange};
use crate::uploader::small::chunks_of;
use crate::uploader::walk::FileWalk;
use crate::uploader::{CommitResult, Op, Piece, PieceOutcome, Uploader};
use std::sync::Arc;

impl Bench {
    /// Writes other bytes to a file that was sent, and says that it was edited.
    async fn edit(&self, created: &Piece, results: &[CommitResult], name: &str, bytes: &[u8]) -> Piece {
        let (_, PieceOutcome::Applied { seqs }) = outcomes(results)[0] else {
            panic!("{results:?}")
        };
        let (node, old, place) = match &created.group[0] {
            Op::Create {
                node, content, place, ..
            } => (*node, content.clone(), place.clone()),
            Op::Edit { node, content, .. } => {
                let remote = self.uploader.state.remote(self.uploader.namespace, *node).await;
                (*node, content.clone(), remote.unwrap().unwrap().place)
            }
            other => panic!("{other:?}"),
        };
        let Content::File(file) = &old else {
            panic!("{old:?}")
        };
        let entry = Entry {
            place,
            substance: (&old).into(),
            attributes: Attributes::default(),
            place_seq: seqs[0],
            content_seq: seqs[0],
        };
        let batch = StateBatch {
            remote: vec![TreeChange::Put(node, entry)],
            contents: vec![file.clone()],
            ..StateBatch::default()
        };
        self.uploader
            .state
            .apply(self.uploader.namespace, batch)
            .await
            .unwrap();
        let mut piece = self.new_file(name, bytes);
        let content = content_of(&piece);
        piece.group = vec![Op::Edit {
            node,
            content: Content::File(content),
            attributes: Attributes::default(),
            base_content: seqs[0],
        }];
        piece
    }

    /// Sends an edit of a file that was sent and returns the bytes of chunks that it took.
    async fn resend(
        &self,
        first: &Piece,
        results: &[CommitResult],
        name: &str,
        bytes: &[u8],
    ) -> (u64, Piece, Vec<CommitResult>) {
        let before = Counted::get(&self.remote.counted.bytes_put);
        let piece = self.edit(first, results, name, bytes).await;
        let results = self.send(vec![piece.clone()]).await.unwrap();
        assert!(all_applied(&results, 1), "{results:?}");
        assert_eq!(self.remote.read(&content_of(&piece)), bytes);
        (
            Counted::get(&self.remote.counted.bytes_put) - before,
            piece,
            results,
        )
    }
}

#[tokio::test]
async fn a_byte_changed_in_a_large_file_costs_a_kilobyte() {
    let bench = bench();
    let mut bytes = noise(60, 40 << 20);
    let first = bench.new_file("large", &bytes);
    assert!(matches!(content_of(&first).manifest, Manifest::Tree { .. }));
    let results = bench.send(vec![first.clone()]).await.unwrap();
    let asked = Counted::get(&bench.remote.counted.hashes_asked);

    bytes[20 << 20] ^= 1;
    let (sent, second, results) = bench.resend(&first, &results, "large", &bytes).await;
    assert!(sent < 1_200, "{sent} bytes");
    assert_eq!(Counted::get(&bench.remote.counted.signatures), 1);
    // The chunk, its page and the root, which is too short to save anything.
    assert_eq!(Counted::get(&bench.remote.counted.hashes_asked), asked);
    assert_eq!(Counted::get(&bench.remote.counted.deltas_put), 2);

    // The same place again: what was sent last is known.
    bytes[(20 << 20) + 100] ^= 1;
    let (sent, third, results) = bench.resend(&second, &results, "large", &bytes).await;
    assert!(sent < 1_200, "{sent} bytes");
    assert_eq!(Counted::get(&bench.remote.counted.signatures), 1);

    bytes.splice(0..0, noise(61, 1_024));
    let (sent, fourth, results) = bench.resend(&third, &results, "large", &bytes).await;
    assert!(sent < 3_000, "{sent} bytes");

    bytes.extend(noise(62, 1 << 20));
    let (sent, ..) = bench.resend(&fourth, &results, "large", &bytes).await;
    assert!(sent < (1 << 20) + 10_000, "{sent} bytes");
}

#[tokio::test]
async fn a_byte_changed_in_a_small_file_travels_in_front_of_the_commit() {
    let bench = bench();
    let mut bytes = noise(68, 100 << 10);
    let first = bench.new_file("small", &bytes);
    let results = bench.send(vec![first.clone()]).await.unwrap();
    let counted = &bench.remote.counted;
    // Nothing but the question for a signature goes ahead of the commit.
    let ahead = || [&counted.haves, &counted.puts].map(Counted::get);
    let before = ahead();

    bytes[50 << 10] ^= 1;
    let (sent, second, results) = bench.resend(&first, &results, "small", &bytes).await;
    assert!(sent < 1_000, "{sent} bytes");
    assert_eq!((ahead(), Counted::get(&counted.signatures)), (before, 1));

    bytes[51 << 10] ^= 1;
    let (sent, ..) = bench.resend(&second, &results, "small", &bytes).await;
    assert!(sent < 1_000, "{sent} bytes");
    assert_eq!(
        (ahead(), Counted::get(&counted.signatures)),
        (before, 1),
        "the same place again"
    );
}

#[tokio::test]
async fn many_small_edits_travel_whole_and_together() {
    let bench = bench();
    let created: Vec<_> = (0..20)
        .map(|index| bench.new_file(&format!("f{index}"), &noise(index, 40 << 10)))
        .collect();
    let mut edits = Vec::new();
    for (index, piece) in created.iter().enumerate() {
        let results = bench.send(vec![piece.clone()]).await.unwrap();
        let mut bytes = noise(index as u64, 40 << 10);
        bytes[20 << 10] ^= 1;
        edits.push(bench.edit(piece, &results, &format!("f{index}"), &bytes).await);
    }
    let results = bench.send(edits).await.unwrap();
    assert!(all_applied(&results, 20), "{results:?}");
    assert_eq!(results.len(), 1, "one commit");
    assert_eq!(Counted::get(&bench.remote.counted.signatures), 0);
    assert_eq!(Counted::get(&bench.remote.counted.deltas_put), 0);
}

#[tokio::test]
async fn a_wrong_signature_costs_a_refusal_and_the_chunk() {
    let bench = bench();
    let mut bytes = noise(63, 3 << 20);
    let first = bench.new_file("large", &bytes);
    let results = bench.send(vec![first.clone()]).await.unwrap();
    bench.remote.faults(|faults| faults.mixes_signatures = true);
    bytes[1 << 20] ^= 1;
    let (sent, ..) = bench.resend(&first, &results, "large", &bytes).await;
    assert!((20_000..300_000).contains(&sent), "{sent} bytes");
    assert_eq!(Counted::get(&bench.remote.counted.deltas_put), 1);
}

#[tokio::test]
async fn an_edit_of_every_chunk_takes_requests_that_ask_for_no_more_work_than_they_may() {
    let bench = bench();
    let mut bytes = noise(69, 8 << 20);
    let first = bench.new_file("large", &bytes);
    let results = bench.send(vec![first.clone()]).await.unwrap();
    for at in (0..bytes.len()).step_by(30_000) {
        bytes[at] ^= 1;
    }
    let chunks = chunks_of(&bench.new_file("large", &bytes).files[0]).len() as u64;
    let (sent, ..) = bench.resend(&first, &results, "large", &bytes).await;
    assert!(sent < 2 << 20, "{sent} bytes");
    let deltas = Counted::get(&bench.remote.counted.deltas_put);
    assert!(chunks > 50 && deltas > chunks / 4 * 3, "{deltas} of {chunks}");
}

#[tokio::test]
async fn deltas_that_are_too_much_work_are_sent_whole() {
    let bench = bench();
    let mut bytes = noise(71, 100 << 10);
    let first = bench.new_file("small", &bytes);
    let results = bench.send(vec![first.clone()]).await.unwrap();
    bench
        .remote
        .faults(|faults| faults.rejects = Some(ErrorCode::TooLarge));
    bytes[50 << 10] ^= 1;
    let (sent, ..) = bench.resend(&first, &results, "small", &bytes).await;
    assert!((10_000..110_000).contains(&sent), "{sent} bytes");
    assert_eq!(Counted::get(&bench.remote.counted.deltas_put), 0);
}

#[tokio::test]
async fn another_file_in_the_place_of_one_is_soon_sent_as_it_is() {
    let bench = bench();
    let first = bench.new_file("large", &noise(64, 20 << 20));
    let results = bench.send(vec![first.clone()]).await.unwrap();
    let (sent, ..) = bench
        .resend(&first, &results, "large", &noise(65, 40 << 20))
        .await;
    assert!(sent > 40 << 20);
    assert_eq!(Counted::get(&bench.remote.counted.deltas_put), 0);
    let signatures = Counted::get(&bench.remote.counted.signatures);
    assert!(signatures < 280, "{signatures} signatures");
}

#[test]
fn of_an_edit_only_what_is_new_is_read() {
    let bench = bench();
    let file = bench.new_file("file", &noise(70, 1 << 20)).files.remove(0);
    let chunks = chunks_of(&file).to_vec();
    let new = chunks[1].hash;
    let mut walk = FileWalk::open(&bench.uploader.fs, &file, None).unwrap();
    let window = walk.next_window(&|hash| *hash == new).unwrap().unwrap();
    assert!(
        walk.next_window(&|_| true).unwrap().is_none(),
        "one window is all"
    );
    let read: Vec<_> = window
        .iter()
        .map(|chunk| (chunk.len as u32, chunk.bytes.len()))
        .collect();
    let expected = chunks.iter().map(|chunk| match chunk.hash == new {
        true => (chunk.len, chunk.len as usize),
        false => (chunk.len, 0),
    });
    assert_eq!(read, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn without_the_pages_of_the_version_before_the_server_is_asked() {
    let bench = bench();
    let mut bytes = noise(66, 30 << 20);
    let first = bench.new_file("large", &bytes);
    let results = bench.send(vec![first.clone()]).await.unwrap();
    let fresh = Bench {
        uploader: Uploader {
            state: Arc::new(MemoryState::new()),
            ..bench.uploader
        },
        ..bench
    };
    bytes[20 << 20] ^= 1;
    let (sent, ..) = fresh.resend(&first, &results, "large", &bytes).await;
    assert!((20_000..400_000).contains(&sent), "{sent} bytes");
}

#[tokio::test]
async fn a_copy_of_what_is_on_the_server_is_neither_sent_nor_asked_about() {
    for size in [3 << 20, 30 << 20] {
        let bench = bench();
        let bytes = noise(67, size);
        let first = bench.new_file("large", &bytes);
        let results = bench.send(vec![first.clone()]).await.unwrap();
        // The remote tree learns of the file.
        bench.edit(&first, &results, "large", &bytes).await;
        let counted = &bench.remote.counted;
        let before = (
            Counted::get(&counted.hashes_asked),
            Counted::get(&counted.chunks_put),
        );
        let copy = bench.new_file("copy", &bytes);
        assert!(all_applied(&bench.send(vec![copy]).await.unwrap(), 1));
        let after = (
            Counted::get(&counted.hashes_asked),
            Counted::get(&counted.chunks_put),
        );
        assert_eq!(after, before, "{size} bytes");
    }
}

#[tokio::test]
async fn a_copy_of_what_the_server_has_lost_is_sent() {
    for size in [3 << 20, 30 << 20] {
        let bench = bench();
        let bytes = noise(68, size);
        let first = bench.new_file("large", &bytes);
        let results = bench.send(vec![first.clone()]).await.unwrap();
        bench.edit(&first, &results, "large", &bytes).await;
        bench.remote.forget_chunks();
        let copy = bench.new_file("copy", &bytes);
        let content = content_of(&copy);
        assert!(all_applied(&bench.send(vec![copy]).await.unwrap(), 1));
        assert_eq!(bench.remote.commits().len(), 3, "one was refused");
        assert!(bench.remote.read(&content) == bytes);
    }
}
