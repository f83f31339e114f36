//! Signatures, and chunks that come as deltas.

use bytes::Bytes;
use cairn_api::error::ErrorCode;
use cairn_api::frame::{DeltaFrame, Frame};
use cairn_api::sync::{
    ChunksReply, CommitReply, FetchItem, FetchPart, FetchStatus, Signatures, SignaturesReply, path,
};
use cairn_chunks::ChunkStore;
use cairn_codec::{DeltaForm, EncodedDelta, decode_chunk, decode_delta, encode_delta, encode_patch};
use cairn_core::change::{GroupOutcome, Op};
use cairn_core::delta::Signature;
use cairn_core::ids::ChunkHash;
use cairn_core::limits;
use cairn_core::node::{Attributes, Content};

use crate::support::{
    Device, TestFile, World, assert_refused, body, chunk, chunks_path, hash_of, item, new_node, start_of,
};

fn noise(seed: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(seed.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// A file of one chunk, and the same with one byte changed.
fn versions() -> (Vec<u8>, Vec<u8>) {
    let old = noise("a draft", 16_000);
    let mut new = old.clone();
    new[7_000] ^= 1;
    (old, new)
}

async fn signatures(device: &Device<'_>, hashes: Vec<ChunkHash>) -> Vec<Option<Vec<u8>>> {
    let reply: SignaturesReply = device.post(path::SIGNATURES, &Signatures { hashes }).await.ok();
    let signatures = reply.signatures.into_iter();
    signatures.map(|signature| signature.map(Into::into)).collect()
}

fn frame(new: &[u8], base: Vec<ChunkHash>, delta: EncodedDelta) -> Frame {
    Frame::Delta(DeltaFrame {
        hash: ChunkHash::of(new),
        is_page: false,
        base,
        delta,
    })
}

/// Both forms of the delta between two chunks.
fn deltas(old: &[u8], new: &[u8]) -> [Frame; 2] {
    let base = vec![ChunkHash::of(old)];
    [
        frame(new, base.clone(), encode_delta(&[&Signature::of(old)], new)),
        frame(new, base, encode_patch(old, new).unwrap()),
    ]
}

#[tokio::test]
async fn an_edit_travels_as_a_delta_against_the_servers_signature() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let (old, new) = versions();
    device.put("draft", &TestFile::new(&old)).await;

    let asked = signatures(&device, vec![ChunkHash::of(&old)]).await;
    let signature = Signature::decode(asked[0].as_ref().unwrap()).unwrap();
    assert_eq!(signature, Signature::of(&old));
    let delta = frame(&new, vec![ChunkHash::of(&old)], encode_delta(&[&signature], &new));
    assert!(delta.wire_len() < 700, "{}", delta.wire_len());
    let reply: ChunksReply = device
        .upload(device.root, std::slice::from_ref(&delta))
        .await
        .ok();
    assert_eq!(reply.count, 1);
    assert_eq!(device.have(vec![ChunkHash::of(&new)]).await, [true]);
    let stored = world.chunks.get(&ChunkHash::of(&new)).await.unwrap().unwrap();
    assert_eq!(stored, cairn_codec::encode_chunk(&new), "it is stored whole");

    let file = TestFile::new(&new);
    let (node, seq) = device.put_uploaded("final", &file).await;
    let frames = device.fetch(vec![item(node, seq)]).await;
    assert_eq!(frames[1], file.chunks[0]);
}

#[tokio::test]
async fn a_commit_may_bring_deltas_of_chunks_and_pages() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let old_bytes = noise("a long file", 25 << 20);
    let mut new_bytes = old_bytes.clone();
    new_bytes[12 << 20] ^= 1;
    let (old, new) = (TestFile::new(&old_bytes), TestFile::new(&new_bytes));
    for part in old.chunks.chunks(60) {
        device.upload(device.root, part).await.ok::<ChunksReply>();
    }
    device.put_with_pages("old", &old).await;

    let known: Vec<ChunkHash> = old.all().iter().map(hash_of).collect();
    let mut sent = Vec::new();
    for (old_frames, new_frames) in [(&old.chunks, &new.chunks), (&old.pages, &new.pages)] {
        let gone = old_frames.iter().filter(|frame| !new_frames.contains(frame));
        let come = new_frames.iter().filter(|frame| !known.contains(&hash_of(frame)));
        for (old, new) in gone.zip(come) {
            let (Frame::Chunk(old), Frame::Chunk(new)) = (old, new) else {
                panic!("they are chunks")
            };
            let plain =
                |frame: &cairn_api::frame::ChunkFrame| decode_chunk(&frame.chunk, &frame.hash).unwrap();
            sent.push(Frame::Delta(DeltaFrame {
                hash: new.hash,
                is_page: new.is_page,
                base: vec![old.hash],
                delta: encode_patch(&plain(old), &plain(new)).unwrap(),
            }));
        }
    }
    assert!(sent.len() >= 3, "a chunk, its page and the root: {}", sent.len());
    let wire: usize = sent.iter().map(Frame::wire_len).sum();
    assert!(wire < 1_000, "{wire} bytes");
    let request = device.request(vec![vec![new.create(new_node(), "new")]]);
    let reply: CommitReply = device.commit(&sent, &request).await.ok();
    assert!(
        matches!(reply.groups[0], GroupOutcome::Applied { .. }),
        "{reply:?}"
    );
}

#[tokio::test]
async fn what_an_account_cannot_read_has_no_signature_and_is_no_base() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    let (old, new) = versions();
    ada.put("secret", &TestFile::new(&old)).await;
    let absent = ChunkHash::of(b"nobody has this");
    assert_eq!(
        signatures(&eve, vec![ChunkHash::of(&old), absent]).await,
        [None, None]
    );
    for delta in deltas(&old, &new) {
        let error = assert_refused(&eve.upload(eve.root, &[delta]).await, ErrorCode::DeltaRefused);
        assert!(
            error.message.contains(&ChunkHash::of(&new).to_string()),
            "{}",
            error.message
        );
        assert!(
            !error.message.contains(&ChunkHash::of(&old).to_string()),
            "{}",
            error.message
        );
    }
    // A base that does not exist is refused in the same words.
    let nowhere = frame(&new, vec![absent], encode_patch(&old, &new).unwrap());
    assert_refused(&eve.upload(eve.root, &[nowhere]).await, ErrorCode::DeltaRefused);
    assert_eq!(eve.have(vec![ChunkHash::of(&new)]).await, [false]);

    // Nor does a grant suffice: what was never committed is in no namespace.
    eve.upload(eve.root, &[chunk(&old)]).await.ok::<ChunksReply>();
    assert_eq!(signatures(&eve, vec![ChunkHash::of(&old)]).await, [None]);
    for delta in deltas(&old, &new) {
        assert_refused(&eve.upload(eve.root, &[delta]).await, ErrorCode::DeltaRefused);
    }
}

#[tokio::test]
async fn a_wrong_delta_costs_a_refusal_and_grants_nothing() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let (old, new) = versions();
    device.put("draft", &TestFile::new(&old)).await;
    let other = noise("something else", 16_000);
    let base = || vec![ChunkHash::of(&old)];
    let bomb = EncodedDelta {
        form: DeltaForm::Patch,
        plain_len: 100,
        bytes: encode_patch(b"", &[0; 200_000]).unwrap().bytes,
    };
    let wrong = [
        // It makes another chunk than it says.
        frame(&other, base(), encode_delta(&[&Signature::of(&old)], &new)),
        frame(&other, base(), encode_patch(&old, &new).unwrap()),
        // It was made from a signature of other bytes.
        frame(&other, base(), encode_delta(&[&Signature::of(&other)], &other)),
        frame(&new, base(), bomb),
        frame(
            &new,
            base(),
            EncodedDelta {
                form: DeltaForm::ZstdSteps,
                plain_len: 16_000,
                bytes: Bytes::from_static(b"no zstd"),
            },
        ),
        frame(
            &new,
            base(),
            EncodedDelta {
                form: DeltaForm::Steps,
                plain_len: 16_000,
                bytes: Bytes::from_static(b"\xff\xff\xff\xff\xff\xff"),
            },
        ),
    ];
    let good = chunk(b"a good chunk");
    for wrong in wrong {
        let raw = device.upload(device.root, &[good.clone(), wrong.clone()]).await;
        assert_refused(&raw, ErrorCode::DeltaRefused);
        let request = device.request(vec![vec![TestFile::new(&new).create(new_node(), "new")]]);
        assert_refused(&device.commit(&[wrong], &request).await, ErrorCode::DeltaRefused);
    }
    let claimed = vec![hash_of(&good), ChunkHash::of(&new), ChunkHash::of(&other)];
    assert_eq!(device.have(claimed).await, [false, false, false]);
    // The same chunk whole is taken afterwards.
    device
        .upload(device.root, &[chunk(&new)])
        .await
        .ok::<ChunksReply>();
}

#[tokio::test]
async fn a_base_that_rotted_is_no_base() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let (old, new) = versions();
    device.put("draft", &TestFile::new(&old)).await;
    world.chunks.rotten.lock().unwrap().insert(ChunkHash::of(&old));
    assert_eq!(signatures(&device, vec![ChunkHash::of(&old)]).await, [None]);
    let [delta, _] = deltas(&old, &new);
    assert_refused(
        &device.upload(device.root, &[delta]).await,
        ErrorCode::DeltaRefused,
    );
    device
        .upload(device.root, &[chunk(&new)])
        .await
        .ok::<ChunksReply>();
}

#[tokio::test]
async fn signatures_outlive_the_chunks_place_in_the_cache_not_the_right_to_them() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    let (old, new) = versions();
    ada.put("draft", &TestFile::new(&old)).await;
    let [delta, _] = deltas(&old, &new);
    ada.upload(ada.root, &[delta]).await.ok::<ChunksReply>();
    ada.put_uploaded("final", &TestFile::new(&new)).await;
    // What a delta made is hot: its signature needs no look at the chunk.
    world.chunks.rotten.lock().unwrap().insert(ChunkHash::of(&new));
    let asked = signatures(&ada, vec![ChunkHash::of(&new)]).await;
    assert_eq!(asked[0].as_deref(), Some(&Signature::of(&new).encode()[..]));
    assert_eq!(signatures(&eve, vec![ChunkHash::of(&new)]).await, [None]);
}

#[tokio::test]
async fn deltas_and_signatures_have_bounds() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let hashes = vec![ChunkHash::of(b"x"); limits::SIGNATURES + 1];
    assert_refused(
        &device.post(path::SIGNATURES, &Signatures { hashes }).await,
        ErrorCode::TooLarge,
    );
    assert_refused(
        &device.bytes(path::SIGNATURES, Bytes::from_static(b"\xff")).await,
        ErrorCode::BadRequest,
    );
    let big = vec![7; limits::CHUNK_MAX_BYTES];
    device.put("big", &TestFile::new(&big)).await;
    // More base than there may be is no base.
    let base = vec![ChunkHash::of(&big); 5];
    let many = frame(&big, base, encode_patch(&big, &big).unwrap());
    assert_refused(
        &device.upload(device.root, &[many]).await,
        ErrorCode::DeltaRefused,
    );
    // Short deltas of long chunks add up.
    let delta = frame(&big, vec![ChunkHash::of(&big)], encode_patch(&big, &big).unwrap());
    let body_of = |count| body(&vec![delta.clone(); count]);
    let fits = limits::DELTA_WORK_BYTES / (2 * limits::CHUNK_MAX_BYTES);
    let raw = device.bytes(&chunks_path(device.root), body_of(fits)).await;
    assert_eq!(raw.ok::<ChunksReply>().count as usize, fits);
    let raw = device.bytes(&chunks_path(device.root), body_of(fits + 1)).await;
    assert_refused(&raw, ErrorCode::TooLarge);
    // Frames that contradict themselves.
    let mut whole = body(std::slice::from_ref(&delta)).to_vec();
    for (at, byte) in [
        (5 + 32, 2),
        (5 + 33, 3),
        (5 + 37, 0xff),
        (5 + 38, 0),
        (5 + 38, 17),
    ] {
        let good = std::mem::replace(&mut whole[at], byte);
        let raw = device
            .bytes(&chunks_path(device.root), Bytes::from(whole.clone()))
            .await;
        assert_refused(&raw, ErrorCode::BadRequest);
        whole[at] = good;
    }
}

#[tokio::test]
async fn asking_for_many_signatures_is_limited() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let question = Signatures {
        hashes: vec![ChunkHash::of(b"x"); limits::SIGNATURES],
    };
    let mut answered = 0;
    while device.post(path::SIGNATURES, &question).await.status.is_success() {
        answered += 1;
        assert!(answered < 200, "nothing stops it");
    }
    assert_refused(
        &device.post(path::SIGNATURES, &question).await,
        ErrorCode::RateLimited,
    );
}

/// A long file in two versions on the server, the second with one byte changed.
struct Edited {
    old: TestFile,
    new: TestFile,
    items: [FetchItem; 2],
}

async fn edited(device: &Device<'_>) -> Edited {
    let mut bytes = noise("a long file", 25 << 20);
    let old = TestFile::new(&bytes);
    bytes[12 << 20] ^= 1;
    let new = TestFile::new(&bytes);
    for part in old.chunks.chunks(60) {
        device.upload(device.root, part).await.ok::<ChunksReply>();
    }
    let (node, seq) = device.put_with_pages("file", &old).await;
    let known: Vec<ChunkHash> = old.all().iter().map(hash_of).collect();
    let fresh: Vec<Frame> = new
        .all()
        .into_iter()
        .filter(|frame| !known.contains(&hash_of(frame)))
        .collect();
    let edit = Op::Edit {
        node,
        content: Content::File(new.content.clone()),
        attributes: Attributes::default(),
        base_content: seq,
    };
    let reply: CommitReply = device
        .commit(&fresh, &device.request(vec![vec![edit]]))
        .await
        .ok();
    let GroupOutcome::Applied { seqs } = &reply.groups[0] else {
        panic!("{reply:?}")
    };
    Edited {
        old,
        new,
        items: [item(node, seq), item(node, seqs[0])],
    }
}

fn plain(frame: &Frame) -> Vec<u8> {
    match frame {
        Frame::Chunk(frame) => decode_chunk(&frame.chunk, &frame.hash).unwrap().to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Makes what a delta frame stands for from the frames of an older version.
fn made(frame: &Frame, old: &[Frame]) -> Vec<u8> {
    let Frame::Delta(delta) = frame else {
        panic!("{frame:?}")
    };
    let find = |hash: &ChunkHash| old.iter().find(|frame| hash_of(frame) == *hash).unwrap();
    let base: Vec<u8> = delta.base.iter().flat_map(|hash| plain(find(hash))).collect();
    decode_delta(&delta.delta, &base, &delta.hash).unwrap().to_vec()
}

#[tokio::test]
async fn an_edit_comes_as_what_changed() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let Edited { old, new, items } = edited(&device).await;
    let [older, newer] = items;

    // The pages that are new, the long ones as deltas.
    let part = FetchPart::PagesFrom {
        base: older.content_seq,
    };
    let frames = device
        .fetch(vec![FetchItem {
            part,
            ..newer.clone()
        }])
        .await;
    let pages = &frames[1..frames.len() - 1];
    assert_eq!(start_of(&frames[0]).frames as usize, pages.len());
    let expected: Vec<_> = new
        .pages
        .iter()
        .filter(|page| !old.pages.contains(page))
        .map(plain)
        .collect();
    assert_eq!(pages.len(), expected.len());
    for page in pages {
        assert!(page.wire_len() < 250, "{}", page.wire_len());
        // The root lists few pages: it is short enough as it is.
        let bytes = match page {
            Frame::Chunk(_) => plain(page),
            _ => made(page, &old.pages),
        };
        assert!(expected.contains(&bytes));
    }

    // The chunk that is new, from the one in its place.
    let index = new
        .chunks
        .iter()
        .position(|chunk| !old.chunks.contains(chunk))
        .unwrap();
    let part = |base| FetchPart::ChunksFrom {
        first: index as u64,
        count: 1,
        base,
    };
    let base = vec![hash_of(&old.chunks[index])];
    let asked = FetchItem {
        part: part(base),
        ..newer
    };
    let frames = device.fetch(vec![asked]).await;
    assert!(frames[1].wire_len() < 150, "{}", frames[1].wire_len());
    assert_eq!(made(&frames[1], &old.chunks), plain(&new.chunks[index]));
}

#[tokio::test]
async fn what_is_no_base_leaves_chunks_and_pages_whole() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let Edited { old, new, items } = edited(&device).await;
    let [_, newer] = items;
    let index = new
        .chunks
        .iter()
        .position(|chunk| !old.chunks.contains(chunk))
        .unwrap();
    let part = |base| FetchPart::ChunksFrom {
        first: index as u64,
        count: 1,
        base,
    };
    let base = vec![hash_of(&old.chunks[index])];
    // What is no base of the namespace's, or none at all, leaves the chunk whole.
    for base in [
        vec![],
        vec![ChunkHash::of(b"not here")],
        vec![base[0]; 17],
        [base, vec![ChunkHash::of(b"not here")]].concat(),
    ] {
        let frames = device
            .fetch(vec![FetchItem {
                part: part(base),
                ..newer.clone()
            }])
            .await;
        assert_eq!(frames[1], new.chunks[index]);
    }
    // A content that never was leaves all pages.
    let part = FetchPart::PagesFrom {
        base: newer.content_seq.next(),
    };
    let frames = device
        .fetch(vec![FetchItem {
            part,
            ..newer.clone()
        }])
        .await;
    assert_eq!(start_of(&frames[0]).frames as usize, new.pages.len());
    assert_eq!(start_of(&frames[0]).status, FetchStatus::Found);
    let mut found: Vec<_> = frames[1..frames.len() - 1].iter().map(plain).collect();
    let mut expected: Vec<_> = new.pages.iter().map(plain).collect();
    found.sort();
    expected.sort();
    assert!(found == expected);
}

#[tokio::test]
async fn another_accounts_chunks_are_no_base_of_a_download() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    let (old, new) = versions();
    ada.put("secret", &TestFile::new(&old)).await;
    let file = TestFile::new(&new);
    let (node, seq) = eve.put("guess", &file).await;
    let part = FetchPart::ChunksFrom {
        first: 0,
        count: 1,
        base: vec![ChunkHash::of(&old)],
    };
    let frames = eve
        .fetch(vec![FetchItem {
            part,
            ..item(node, seq)
        }])
        .await;
    assert_eq!(frames[1], file.chunks[0], "how alike they are is not told");
}

#[tokio::test]
async fn a_download_without_its_base_comes_whole() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let (old, new) = versions();
    device.put("old", &TestFile::new(&old)).await;
    let file = TestFile::new(&new);
    let (node, seq) = device.put("new", &file).await;
    world.chunks.rotten.lock().unwrap().insert(ChunkHash::of(&old));
    let part = FetchPart::ChunksFrom {
        first: 0,
        count: 9,
        base: vec![ChunkHash::of(&old)],
    };
    let asked = FetchItem {
        part,
        ..item(node, seq)
    };
    let frames = device.fetch(vec![asked.clone()]).await;
    assert_eq!(frames[1], file.chunks[0]);
    world.chunks.rotten.lock().unwrap().insert(ChunkHash::of(&new));
    let frames = device.fetch(vec![asked]).await;
    assert_eq!(start_of(&frames[0]).status, FetchStatus::Damaged);
}
