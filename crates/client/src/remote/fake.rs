//! A server in memory, for the tests of what speaks to one. It checks what a real one checks, and fails on request.

mod runtime;
mod store;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cairn_api::error::{ApiError, ErrorCode};
use cairn_api::frame::{ChunkFrame, Frame};
use cairn_api::sync::{
    AskWipe, ChangesReply, ChangesRequest, ChildrenRequest, CommitReply, CommitRequest, CursorReply,
    CursorReport, Devices, Event, Fetch, Have, MakeToken, MakeTokenReply, NodesReply, NodesRequest, Resolve,
    ResolveReply, Revs, RevsReply, SecondFactor, SecondFactorReply, Signatures, TreeHashReply,
    TreeHashRequest, Whoami, WipeOrder, Wiped, from_cbor,
};
use cairn_codec::{decode_chunk, encode_chunk};
use cairn_core::delta::Signature;
use cairn_core::ids::{ChainHash, ChunkHash, DeviceId, Incarnation, NamespaceId, NodeId, OpId};
use cairn_core::limits;
use cairn_core::manifest::Page;
use cairn_core::node::FileContent;
use cairn_core::rev::{Cursor, Seq};
use futures::channel::oneshot;
use futures::stream::{self, BoxStream, StreamExt};

pub(crate) use self::runtime::{CountedThreads, noise, test_runtime};
use self::store::Store;
pub(crate) use self::store::chunked;
use super::{Fetched, Remote, RemoteError, RemoteResult};

/// What a commit's body held.
#[derive(Debug, Clone)]
pub(crate) struct SeenCommit {
    pub(crate) op_id: OpId,
    pub(crate) groups: usize,
    pub(crate) chunks: Vec<ChunkHash>,
}

/// What goes wrong, once each, and what is said when it is asked for the tree.
#[derive(Default)]
pub(crate) struct Faults {
    /// `have` says yes to everything.
    pub(crate) boasts: bool,
    /// The next commit is applied, its answer lost.
    pub(crate) loses_reply: bool,
    /// The next commit does not arrive.
    pub(crate) loses_commit: bool,
    /// The next commit is turned down.
    pub(crate) rejects: Option<ErrorCode>,
    /// The next commit is answered when the one after it has begun.
    pub(crate) awaits_another: bool,
    /// The next commit that is begun ahead is turned down before it says what it asks for.
    pub(crate) rejects_begun: Option<ErrorCode>,
    /// Signatures are of other chunks than were asked for.
    pub(crate) mixes_signatures: bool,
    /// Chunks and pages that arrive fail after this many requests.
    pub(crate) puts_left: Option<u64>,
    /// Fetches are cut after this many chunks.
    pub(crate) frames_left: Option<u64>,
    /// Deltas arrive damaged.
    pub(crate) spoils_deltas: bool,
    /// This chunk arrives damaged.
    pub(crate) damages: Option<ChunkHash>,
    /// Runs when the next chunks or the next commit arrive.
    pub(crate) on_put: Option<Box<dyn FnOnce() + Send>>,
    /// The next cursor that is reported is older than one before.
    pub(crate) calls_restored: bool,
    /// What the journal says, in turn; the last of it stays, and ends where the last commit did. Nothing: the server is away.
    pub(crate) changes: VecDeque<ChangesReply>,
    /// The pages of a listing, in turn; after them the server is away.
    pub(crate) listing: VecDeque<NodesReply>,
}

/// Counters that never go back.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) haves: AtomicU64,
    pub(crate) hashes_asked: AtomicU64,
    pub(crate) puts: AtomicU64,
    pub(crate) commits_begun: AtomicU64,
    pub(crate) chunks_put: AtomicU64,
    pub(crate) deltas_put: AtomicU64,
    pub(crate) bytes_put: AtomicU64,
    pub(crate) signatures: AtomicU64,
    pub(crate) fetches: AtomicU64,
    pub(crate) bytes_fetched: AtomicU64,
    pub(crate) bytes_in_flight: AtomicU64,
    pub(crate) most_in_flight: AtomicU64,
    pub(crate) largest_body: AtomicU64,
}

impl Counted {
    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
pub(crate) struct FakeRemote {
    inner: Mutex<Store>,
    pub(crate) counted: Counted,
}

impl FakeRemote {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.lock().faults);
    }

    pub(crate) fn commits(&self) -> Vec<SeenCommit> {
        self.lock().commits.clone()
    }

    /// Stores a file as if somebody else had committed it.
    pub(crate) fn store(&self, node: NodeId, seq: Seq, bytes: &[u8]) -> FileContent {
        let mut inner = self.lock();
        let (content, chunks) = chunked(bytes);
        for chunk in chunks {
            inner.chunks.insert(ChunkHash::of(&chunk), encode_chunk(&chunk));
        }
        inner.contents.insert((node, seq), content.clone());
        content
    }

    /// Puts a file together from its chunks.
    pub(crate) fn read(&self, content: &FileContent) -> Vec<u8> {
        let inner = self.lock();
        let mut bytes = Vec::new();
        for hash in inner.walk(content).unwrap().1 {
            bytes.extend_from_slice(&decode_chunk(&inner.chunks[&hash], &hash).unwrap());
        }
        bytes
    }

    pub(crate) fn forget_chunks(&self) {
        self.lock().chunks.clear();
    }

    fn unreachable() -> RemoteError {
        RemoteError::Unreachable {
            server: "fake".to_owned(),
            source: "the cable was pulled".into(),
        }
    }

    /// The chunks of frames, those of deltas made, as many as one request may ask for.
    fn whole(&self, frames: Vec<Frame>) -> RemoteResult<Vec<ChunkFrame>> {
        let mut work_left = limits::DELTA_WORK_BYTES;
        let chunks = frames.into_iter().map(|frame| match frame {
            Frame::Chunk(chunk) => Ok(chunk),
            Frame::Delta(delta) => {
                self.counted.deltas_put.fetch_add(1, Ordering::SeqCst);
                let inner = self.lock();
                let left = work_left.checked_sub(inner.work(&delta));
                work_left = left.ok_or_else(|| refused(ErrorCode::TooLarge))?;
                inner.made(&delta)
            }
            Frame::Message(_) | Frame::End => panic!("no chunk"),
        });
        chunks.collect()
    }

    /// Takes a body as the server does: within its bounds, each chunk checked.
    fn take(&self, chunks: &[ChunkFrame], request_len: usize) {
        let body: usize = chunks
            .iter()
            .map(|chunk| Frame::Chunk(chunk.clone()).wire_len())
            .sum();
        let body = body + request_len + 16;
        assert!(body <= limits::BODY_BYTES, "a body of {body} bytes");
        assert!(request_len <= limits::FRAME_BYTES);
        self.counted.largest_body.fetch_max(body as u64, Ordering::SeqCst);
        let mut inner = self.lock();
        for frame in chunks {
            decode_chunk(&frame.chunk, &frame.hash).unwrap();
            assert_eq!(
                frame.is_page,
                decode_chunk(&frame.chunk, &frame.hash).is_ok_and(|bytes| Page::decode(&bytes).is_ok())
            );
            inner.chunks.insert(frame.hash, frame.chunk.clone());
        }
    }
}

fn refused(code: ErrorCode) -> RemoteError {
    RemoteError::Refused(ApiError {
        code,
        message: "no".to_owned(),
        request_id: "1".to_owned(),
        retry_after_ms: None,
    })
}

#[async_trait]
impl Remote for FakeRemote {
    async fn whoami(&self) -> RemoteResult<Whoami> {
        Err(Self::unreachable())
    }

    async fn devices(&self) -> RemoteResult<Devices> {
        Err(Self::unreachable())
    }

    async fn unlink(&self, _: DeviceId) -> RemoteResult<()> {
        Err(Self::unreachable())
    }

    async fn ask_wipe(&self, _: AskWipe) -> RemoteResult<()> {
        Err(Self::unreachable())
    }

    async fn wipe_order(&self) -> RemoteResult<WipeOrder> {
        Err(Self::unreachable())
    }

    async fn wiped(&self, _: Wiped) -> RemoteResult<()> {
        Err(Self::unreachable())
    }

    async fn make_token(&self, _: MakeToken) -> RemoteResult<MakeTokenReply> {
        Err(Self::unreachable())
    }

    async fn second_factor(&self, _: SecondFactor) -> RemoteResult<SecondFactorReply> {
        Err(Self::unreachable())
    }

    async fn logout(&self) -> RemoteResult<()> {
        Err(Self::unreachable())
    }

    async fn have(&self, request: Have) -> RemoteResult<Vec<bool>> {
        assert!(request.hashes.len() <= limits::HAVE_HASHES);
        self.counted.haves.fetch_add(1, Ordering::SeqCst);
        self.counted
            .hashes_asked
            .fetch_add(request.hashes.len() as u64, Ordering::SeqCst);
        let inner = self.lock();
        let have = |hash| inner.faults.boasts || inner.chunks.contains_key(hash);
        Ok(request.hashes.iter().map(have).collect())
    }

    async fn signatures(&self, request: Signatures) -> RemoteResult<Vec<Option<Vec<u8>>>> {
        assert!(request.hashes.len() <= limits::SIGNATURES);
        self.counted
            .signatures
            .fetch_add(request.hashes.len() as u64, Ordering::SeqCst);
        let inner = self.lock();
        let mixes = inner.faults.mixes_signatures;
        let signature = |hash: &ChunkHash| {
            let chunk = inner.chunks.get(hash)?;
            let mut plaintext = decode_chunk(chunk, hash).unwrap().to_vec();
            if mixes {
                plaintext.rotate_left(512);
            }
            Some(Signature::of(&plaintext).encode())
        };
        Ok(request.hashes.iter().map(signature).collect())
    }

    async fn put_frames(&self, _: NamespaceId, frames: Vec<Frame>) -> RemoteResult<()> {
        let bytes: u64 = frames.iter().map(|frame| frame.wire_len() as u64).sum();
        self.counted.bytes_put.fetch_add(bytes, Ordering::SeqCst);
        let chunks = self.whole(frames)?;
        let now = self.counted.bytes_in_flight.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.counted.most_in_flight.fetch_max(now, Ordering::SeqCst);
        // Lets the sender begin as many more as it likes.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let on_put = self.lock().faults.on_put.take();
        if let Some(on_put) = on_put {
            on_put();
        }
        self.counted.bytes_in_flight.fetch_sub(bytes, Ordering::SeqCst);
        if let Some(left) = &mut self.lock().faults.puts_left {
            *left = left.checked_sub(1).ok_or_else(Self::unreachable)?;
        }
        self.take(&chunks, 0);
        self.counted.puts.fetch_add(1, Ordering::SeqCst);
        self.counted
            .chunks_put
            .fetch_add(chunks.len() as u64, Ordering::SeqCst);
        Ok(())
    }

    async fn commit_later(
        &self,
        chunks: Vec<Frame>,
        request: oneshot::Receiver<Vec<u8>>,
    ) -> RemoteResult<CommitReply> {
        self.counted.commits_begun.fetch_add(1, Ordering::SeqCst);
        if let Some(code) = self.lock().faults.rejects_begun.take() {
            return Err(refused(code));
        }
        match request.await {
            Ok(request) => self.commit(chunks, request).await,
            Err(oneshot::Canceled) => Err(Self::unreachable()),
        }
    }

    async fn commit(&self, frames: Vec<Frame>, request: Vec<u8>) -> RemoteResult<CommitReply> {
        let mut faults = std::mem::take(&mut self.lock().faults);
        let (loses_commit, loses_reply, rejects, awaits_another) = (
            std::mem::take(&mut faults.loses_commit),
            std::mem::take(&mut faults.loses_reply),
            faults.rejects.take(),
            std::mem::take(&mut faults.awaits_another),
        );
        let on_put = faults.on_put.take();
        self.lock().faults = faults;
        if let Some(on_put) = on_put {
            on_put();
        }
        let begun = Counted::get(&self.counted.commits_begun);
        while awaits_another && Counted::get(&self.counted.commits_begun) == begun {
            tokio::task::yield_now().await;
        }
        if loses_commit {
            return Err(Self::unreachable());
        }
        if let Some(code) = rejects {
            return Err(refused(code));
        }
        let bytes: u64 = frames.iter().map(|frame| frame.wire_len() as u64).sum();
        let chunks = self.whole(frames)?;
        self.counted.bytes_put.fetch_add(bytes, Ordering::SeqCst);
        self.take(&chunks, request.len());
        let decoded: CommitRequest = from_cbor(&request).unwrap();
        let mut inner = self.lock();
        if let Some((first, reply)) = inner.settled.get(&decoded.op_id) {
            assert_eq!(first, &request, "an operation id names one request");
            return Ok(reply.clone());
        }
        inner.commits.push(SeenCommit {
            op_id: decoded.op_id,
            groups: decoded.groups.len(),
            chunks: chunks.iter().map(|chunk| chunk.hash).collect(),
        });
        let journal = inner.journal.unwrap_or(Cursor {
            namespace: decoded.namespace,
            incarnation: Incarnation::new([1; 16]),
            seq: Seq::ZERO,
            chain: ChainHash::new([2; 32]),
        });
        inner.head = inner.head.max(journal.seq.get());
        let groups: Vec<_> = decoded.groups.iter().map(|group| inner.apply(group)).collect();
        let journal = Cursor {
            seq: Seq::new(inner.head).unwrap(),
            ..journal
        };
        inner.journal = Some(journal);
        let reply = CommitReply {
            groups,
            cursor: journal,
            base: journal.chain,
        };
        inner.settled.insert(decoded.op_id, (request, reply.clone()));
        if loses_reply {
            Err(Self::unreachable())
        } else {
            Ok(reply)
        }
    }

    async fn changes(&self, _: ChangesRequest) -> RemoteResult<ChangesReply> {
        let mut inner = self.lock();
        let changes = &mut inner.faults.changes;
        let next = if changes.len() > 1 {
            changes.pop_front()
        } else {
            changes.front().cloned()
        };
        let stays = changes.len() == 1;
        let mut reply = next.ok_or_else(Self::unreachable)?;
        let (ChangesReply::Page { cursor, .. }
        | ChangesReply::BelowFloor { head: cursor }
        | ChangesReply::NotOnChain { head: cursor }) = &mut reply;
        if let Some(last) = inner.journal
            && stays
            && (last.incarnation, last.chain) == (cursor.incarnation, cursor.chain)
        {
            cursor.seq = cursor.seq.max(last.seq);
        }
        inner.journal = Some(*cursor);
        Ok(reply)
    }

    async fn nodes(&self, _: NodesRequest) -> RemoteResult<NodesReply> {
        let page = self.lock().faults.listing.pop_front();
        page.ok_or_else(Self::unreachable)
    }

    async fn children(&self, _: ChildrenRequest) -> RemoteResult<NodesReply> {
        Err(Self::unreachable())
    }

    async fn resolve(&self, _: Resolve) -> RemoteResult<ResolveReply> {
        Err(Self::unreachable())
    }

    async fn revs(&self, _: Revs) -> RemoteResult<RevsReply> {
        Err(Self::unreachable())
    }

    async fn tree_hash(&self, _: TreeHashRequest) -> RemoteResult<TreeHashReply> {
        Err(Self::unreachable())
    }

    async fn fetch(&self, request: Fetch) -> RemoteResult<BoxStream<'static, RemoteResult<Fetched>>> {
        assert!(request.items.len() <= limits::COMMIT_BATCH_OPS);
        self.counted.fetches.fetch_add(1, Ordering::SeqCst);
        let mut inner = self.lock();
        let mut frames = Vec::new();
        for (index, item) in request.items.iter().enumerate() {
            for frame in inner.frames_of(index, item) {
                if let Ok(Fetched::Delta(delta)) = &frame {
                    let bytes = delta.delta.bytes.len() as u64;
                    self.counted.bytes_fetched.fetch_add(bytes, Ordering::SeqCst);
                }
                if let Ok(Fetched::Chunk(chunk)) = &frame {
                    if let Some(left) = &mut inner.faults.frames_left {
                        let Some(fewer) = left.checked_sub(1) else {
                            frames.push(Err(Self::unreachable()));
                            return Ok(stream::iter(frames).boxed());
                        };
                        *left = fewer;
                    }
                    let bytes = u64::from(chunk.chunk.plain_len);
                    self.counted.bytes_fetched.fetch_add(bytes, Ordering::SeqCst);
                }
                frames.push(frame);
            }
        }
        Ok(stream::iter(frames).boxed())
    }

    async fn report_cursor(&self, _: CursorReport) -> RemoteResult<CursorReply> {
        let is_restored = std::mem::take(&mut self.lock().faults.calls_restored);
        Ok(if is_restored {
            CursorReply::DeviceRestored
        } else {
            CursorReply::Accepted
        })
    }

    async fn events(&self) -> RemoteResult<BoxStream<'static, RemoteResult<Event>>> {
        Err(Self::unreachable())
    }
}
