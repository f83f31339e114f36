//! Contents that come in several requests.

use std::sync::Arc;

use cairn_core::file_hasher::FileHasher;
use cairn_core::ids::{AccountId, Incarnation};
use cairn_core::node::FileContent;
use cairn_core::time::Timestamp;

use crate::{MetadataStore, PieceOutcome, Upload, UploadId, UploadPiece};

fn account(number: i64) -> AccountId {
    AccountId::new(number).expect("positive")
}

fn content(bytes: &[u8]) -> FileContent {
    let mut hasher = FileHasher::new();
    hasher.update(bytes).expect("it is short");
    hasher.finish().expect("it is short").content
}

fn piece(start: u64, bytes: &[u8]) -> UploadPiece {
    UploadPiece {
        start,
        content: content(bytes),
    }
}

fn upload(owner: AccountId, number: u8, concurrent: bool, expires_at: i64) -> Upload {
    Upload {
        account: owner,
        id: UploadId([number; 16]),
        concurrent,
        size: 0,
        total: None,
        expires_at: Timestamp::from_millis(expires_at),
    }
}

pub(super) async fn pieces_follow_one_another(store: Arc<dyn MetadataStore>) {
    let (ada, eve) = (account(0x1000), account(0x1001));
    let begun = upload(ada, 1, false, 100);
    let (id, now) = (begun.id, Timestamp::from_millis(50));
    assert!(store.begin_upload(&begun, now).await.expect("begun"));
    assert_eq!(store.upload(ada, id).await.expect("an answer"), Some(begun));
    assert_eq!(store.upload(eve, id).await.expect("an answer"), None);
    let add = async |owner, piece: UploadPiece, closes| {
        store
            .add_piece(owner, id, &piece, closes)
            .await
            .expect("an outcome")
    };
    assert_eq!(add(eve, piece(0, b"one"), false).await, PieceOutcome::Unknown);
    assert_eq!(add(ada, piece(0, b"one"), false).await, PieceOutcome::Added);
    for start in [0, 2, 4] {
        let refused = add(ada, piece(start, b"x"), true).await;
        assert_eq!(refused, PieceOutcome::WrongStart { size: 3 });
    }
    assert_eq!(add(ada, piece(3, b"two!"), false).await, PieceOutcome::Added);
    assert_eq!(add(ada, piece(7, b""), true).await, PieceOutcome::Added);
    assert_eq!(add(ada, piece(7, b"x"), false).await, PieceOutcome::Closed);
    let found = store
        .upload(ada, id)
        .await
        .expect("an answer")
        .expect("it is there");
    assert_eq!((found.size, found.total), (7, Some(7)));
    let all = store.pieces(ada, id, 0, 10).await.expect("pieces");
    assert_eq!(all, [piece(0, b"one"), piece(3, b"two!")]);
    assert_eq!(store.pieces(ada, id, 1, 10).await.expect("pieces"), all[1..]);
    assert_eq!(store.pieces(ada, id, 0, 1).await.expect("pieces"), all[..1]);
    assert!(store.pieces(eve, id, 0, 10).await.expect("pieces").is_empty());
    assert!(!store.end_upload(eve, id).await.expect("an answer"));
    assert!(store.end_upload(ada, id).await.expect("an answer"));
    assert!(!store.end_upload(ada, id).await.expect("an answer"));
    assert!(store.pieces(ada, id, 0, 10).await.expect("pieces").is_empty());
}

pub(super) async fn concurrent_pieces_come_in_any_order(store: Arc<dyn MetadataStore>) {
    let ada = account(0x1000);
    let begun = upload(ada, 1, true, 100);
    let id = begun.id;
    assert!(
        store
            .begin_upload(&begun, Timestamp::from_millis(50))
            .await
            .expect("begun")
    );
    let add = async |piece: UploadPiece, closes| {
        store
            .add_piece(ada, id, &piece, closes)
            .await
            .expect("an outcome")
    };
    assert_eq!(add(piece(8, b"end"), true).await, PieceOutcome::Added);
    assert_eq!(add(piece(4, b"2222"), false).await, PieceOutcome::Added);
    assert_eq!(
        add(piece(4, b"3333"), false).await,
        PieceOutcome::Added,
        "sent again"
    );
    assert_eq!(add(piece(8, b"long"), false).await, PieceOutcome::Closed);
    assert_eq!(add(piece(0, b"1111"), false).await, PieceOutcome::Added);
    let found = store
        .upload(ada, id)
        .await
        .expect("an answer")
        .expect("it is there");
    assert_eq!((found.size, found.total), (11, Some(11)));
    let all = store.pieces(ada, id, 0, 10).await.expect("pieces");
    assert_eq!(all, [piece(0, b"1111"), piece(4, b"3333"), piece(8, b"end")]);
}

pub(super) async fn uploads_are_forgotten_in_their_time(store: Arc<dyn MetadataStore>) {
    let (ada, eve) = (account(0x1000), account(0x2000));
    for (number, email) in [(0x1000, "ada@example.org"), (0x2000, "eve@example.org")] {
        let owner = super::fixture::account(number, email);
        let life = Incarnation::new([7; 16]);
        store.create_account(&owner, life).await.expect("an account");
    }
    let now = Timestamp::from_millis(100);
    for (owner, number, expires_at) in [(ada, 1, 99), (ada, 2, 100), (eve, 1, 99)] {
        let begun = upload(owner, number, false, expires_at);
        assert!(
            store
                .begin_upload(&begun, Timestamp::from_millis(0))
                .await
                .expect("begun")
        );
        store
            .add_piece(owner, begun.id, &piece(0, b"x"), false)
            .await
            .expect("an outcome");
    }
    assert!(
        store
            .begin_upload(&upload(ada, 3, false, 200), now)
            .await
            .expect("begun")
    );
    for (owner, number, is_there) in [(ada, 1, false), (ada, 2, true), (ada, 3, true), (eve, 1, true)] {
        let id = UploadId([number; 16]);
        assert_eq!(
            store.upload(owner, id).await.expect("an answer").is_some(),
            is_there
        );
        let pieces = store.pieces(owner, id, 0, 10).await.expect("pieces");
        assert_eq!(pieces.len(), usize::from(is_there && number < 3));
    }
    store
        .remove_expired(Timestamp::from_millis(101))
        .await
        .expect("a round");
    for (owner, number, is_there) in [(ada, 2, false), (ada, 3, true), (eve, 1, false)] {
        let found = store
            .upload(owner, UploadId([number; 16]))
            .await
            .expect("an answer");
        assert_eq!(found.is_some(), is_there);
    }
}
