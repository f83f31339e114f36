//! What is remembered of contents: who has them, and the pages of long manifests, kept, read, and dropped when nobody needs
//! them.

use cairn_core::ids::ChunkHash;
use cairn_core::manifest::{EncodedPage, Page};
use tempfile::TempDir;

use super::subjects;
use super::world::{at_seq, file, file_id, id, ns, row};
use crate::remote::fake::{chunked, noise};
use crate::state::sqlite::SqliteState;
use crate::state::{ClientState, LocalChange, StateBatch, TreeChange};

#[tokio::test]
async fn a_content_on_the_server_is_told_from_one_on_the_disk() {
    for subject in subjects().await {
        let state = &subject.state;
        let batch = StateBatch {
            remote: vec![TreeChange::Put(id(12), at_seq(file(1, "a", 3), 5, 9))],
            local: vec![
                LocalChange::Put(row(12, file(1, "a", 4))),
                LocalChange::Put(row(13, file(1, "b", 3))),
            ],
            ..StateBatch::default()
        };
        state.apply(ns(), batch).await.unwrap();
        assert!(state.remote_has_content(ns(), file_id(3)).await.unwrap());
        assert!(!state.remote_has_content(ns(), file_id(4)).await.unwrap());
        let gone = StateBatch {
            remote: vec![TreeChange::RemoveSubtree(id(12))],
            ..StateBatch::default()
        };
        state.apply(ns(), gone).await.unwrap();
        assert!(
            !state.remote_has_content(ns(), file_id(3)).await.unwrap(),
            "{}: it is on the disk alone",
            subject.name
        );
    }
}

#[tokio::test]
async fn pages_are_read_back_in_the_order_asked() {
    for subject in subjects().await {
        let pages: Vec<_> = (0..300u32)
            .map(|n| EncodedPage {
                hash: ChunkHash::of(&n.to_le_bytes()),
                bytes: n.to_le_bytes().repeat(100),
            })
            .collect();
        subject.state.keep_pages(&pages[..299]).await.unwrap();
        subject.state.keep_pages(&pages[200..299]).await.unwrap();
        let asked: Vec<_> = pages.iter().rev().map(|page| page.hash).collect();
        let read = subject.state.pages(&asked).await.unwrap();
        assert_eq!(read.len(), 300);
        assert_eq!(read[0], None, "{}", subject.name);
        let expected = pages[..299].iter().rev().map(|page| Some(page.bytes.clone()));
        assert!(read[1..].iter().cloned().eq(expected), "{}", subject.name);
        assert_eq!(
            subject.state.pages(&[]).await.unwrap(),
            Vec::<Option<Vec<u8>>>::new()
        );
    }
}

#[tokio::test]
async fn pages_that_no_content_has_are_dropped_in_time() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("state.db");
    let state = SqliteState::open(&path).await.unwrap();
    let (content, chunks) = chunked(&noise(90, 30 << 20));
    let page = |bytes: Vec<u8>| EncodedPage {
        hash: ChunkHash::of(&bytes),
        bytes,
    };
    let is_page = |bytes: &Vec<u8>| Page::decode(bytes).is_ok();
    let needed: Vec<_> = chunks.into_iter().filter(is_page).map(page).collect();
    assert!(needed.len() > 2);
    let others: Vec<_> = (0..20_000u32).map(|n| page(n.to_le_bytes().to_vec())).collect();
    let batch = StateBatch {
        contents: vec![content],
        ..StateBatch::default()
    };
    state.apply(ns(), batch).await.unwrap();
    state.keep_pages(&others).await.unwrap();
    state.keep_pages(&needed).await.unwrap();
    state.close().await;
    let state = SqliteState::open(&path).await.unwrap();
    let names = |pages: &[EncodedPage]| pages.iter().map(|page| page.hash).collect::<Vec<_>>();
    let kept = state.pages(&names(&needed)).await.unwrap();
    assert!(kept.iter().all(Option::is_some), "what a content needs stays");
    let kept = state.pages(&names(&others)).await.unwrap();
    assert!(kept.iter().all(Option::is_none), "nobody needs the others");
}
