// tidy: long because the faults and the counters of one fake server share its state.
//! A server in memory, for the tests of what speaks to one. It checks what a real one checks, and fails on request.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_api::error::{ApiError, ErrorCode};
use cairn_api::frame::{ChunkFrame, DeltaFrame, Frame};
use cairn_api::sync::{
    AskWipe, ChangesReply, ChangesRequest, ChildrenRequest, CommitReply, CommitRequest, CursorReply,
    CursorReport, Devices, Event, Fetch, FetchItem, FetchPart, FetchStart, FetchStatus, Have, MakeToken,
    MakeTokenReply, NodesReply, NodesRequest, Resolve, ResolveReply, SecondFactor, SecondFactorReply,
    Signatures, TreeHashReply, TreeHashRequest, Whoami, WipeOrder, Wiped, from_cbor,
};
use cairn_codec::{EncodedChunk, decode_chunk, decode_delta, encode_chunk, encode_patch};
use cairn_core::change::{GroupOutcome, Op, Refusal};
use cairn_core::delta::Signature;
use cairn_core::file_hasher::FileHasher;
use cairn_core::ids::{ChainHash, ChunkHash, DeviceId, Incarnation, NamespaceId, NodeId, OpId};
use cairn_core::limits;
use cairn_core::manifest::{ManifestReader, Page, Step};
use cairn_core::node::{Content, FileContent};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::runtime::{BoxFuture, Clock, Entropy, Runtime, Spawner};
use cairn_core::time::Timestamp;
use futures::channel::oneshot;
use futures::stream::{self, BoxStream, StreamExt};

use super::{Fetched, Remote, RemoteError, RemoteResult};

/// What a commit's body held.
#[derive(Debug, Clone)]
pub(crate) struct SeenCommit {
    pub(crate) op_id: OpId,
    pub(crate) groups: usize,
    pub(crate) chunks: Vec<ChunkHash>,
}

#[derive(Default)]
struct Inner {
    chunks: HashMap<ChunkHash, EncodedChunk>,
    contents: HashMap<(NodeId, Seq), FileContent>,
    head: i64,
    settled: HashMap<OpId, (Vec<u8>, CommitReply)>,
    commits: Vec<SeenCommit>,
    faults: Faults,
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
    /// What the journal says, in turn; the last of it stays. Nothing: the server is away.
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
    inner: Mutex<Inner>,
    pub(crate) counted: Counted,
}

impl FakeRemote {
    fn lock(&self) -> MutexGuard<'_, Inner> {
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

    /// Takes a body as the server does: within its bounds, each chunk checked.
    /// The chunks of frames, those of deltas made.
    fn whole(&self, frames: Vec<Frame>) -> RemoteResult<Vec<ChunkFrame>> {
        let chunks = frames.into_iter().map(|frame| match frame {
            Frame::Chunk(chunk) => Ok(chunk),
            Frame::Delta(delta) => {
                self.counted.deltas_put.fetch_add(1, Ordering::SeqCst);
                self.lock().made(&delta)
            }
            Frame::Message(_) | Frame::End => panic!("no chunk"),
        });
        chunks.collect()
    }

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

/// A file's chunks and pages, and what names it.
pub(crate) fn chunked(bytes: &[u8]) -> (FileContent, Vec<Vec<u8>>) {
    let mut hasher = FileHasher::new();
    let mut chunks = Vec::new();
    let mut rest = bytes;
    while let Some((_, chunk)) = hasher.next_chunk(&mut rest).unwrap() {
        chunks.push(chunk.to_vec());
    }
    if let Some((_, chunk)) = hasher.last_chunk().unwrap() {
        chunks.push(chunk.to_vec());
    }
    let summary = hasher.finish().unwrap();
    chunks.extend(summary.pages.into_iter().map(|page| page.bytes));
    (summary.content, chunks)
}

impl Inner {
    /// The pages and the chunks of a file in order of reading, or the first that is missing.
    fn walk(&self, content: &FileContent) -> Result<(Vec<ChunkHash>, Vec<ChunkHash>), ChunkHash> {
        let mut reader = ManifestReader::new(&content.manifest, content.size).unwrap();
        let (mut pages, mut chunks) = (Vec::new(), Vec::new());
        loop {
            match reader.step() {
                Step::Chunk(chunk) => chunks.push(chunk.entry.hash),
                Step::Need(hash) => {
                    let page = self.chunks.get(&hash).ok_or(hash)?;
                    reader.give(&decode_chunk(page, &hash).unwrap()).unwrap();
                    pages.push(hash);
                }
                Step::End => return Ok((pages, chunks)),
            }
        }
    }

    fn made(&self, delta: &DeltaFrame) -> RemoteResult<ChunkFrame> {
        let mut base = Vec::new();
        for hash in &delta.base {
            base.extend_from_slice(&decode_chunk(&self.chunks[hash], hash).unwrap());
        }
        match decode_delta(&delta.delta, &base, &delta.hash) {
            Ok(bytes) => Ok(ChunkFrame {
                hash: delta.hash,
                is_page: delta.is_page,
                chunk: encode_chunk(&bytes),
            }),
            Err(_) => Err(refused(ErrorCode::DeltaRefused)),
        }
    }

    /// A chunk or a page as a delta against others.
    fn patch(&self, hash: ChunkHash, is_page: bool, base: &[ChunkHash]) -> DeltaFrame {
        let plain = |hash: &ChunkHash| decode_chunk(&self.chunks[hash], hash).unwrap();
        let joined: Vec<u8> = base.iter().flat_map(plain).collect();
        let mut delta = encode_patch(&joined, &plain(&hash)).unwrap();
        if self.faults.spoils_deltas {
            delta.bytes = Bytes::from_static(b"no zstd");
        }
        DeltaFrame {
            hash,
            is_page,
            base: base.to_vec(),
            delta,
        }
    }

    fn apply(&mut self, group: &[Op]) -> GroupOutcome {
        let mut missing = HashSet::new();
        for op in group {
            if let Op::Create {
                content: Content::File(file),
                ..
            }
            | Op::Edit {
                content: Content::File(file),
                ..
            } = op
            {
                assert_eq!(file.manifest.file_id(file.size), file.file_id);
                match self.walk(file) {
                    Ok((_, chunks)) => {
                        missing.extend(chunks.into_iter().filter(|hash| !self.chunks.contains_key(hash)));
                    }
                    Err(page) => {
                        missing.insert(page);
                    }
                }
            }
        }
        if !missing.is_empty() {
            return GroupOutcome::Refused {
                op_index: 0,
                refusal: Refusal::MissingChunks {
                    missing: missing.into_iter().collect(),
                },
            };
        }
        let mut seqs = Vec::new();
        for op in group {
            self.head += 1;
            let seq = Seq::new(self.head).unwrap();
            if let Op::Create {
                content: Content::File(file),
                ..
            }
            | Op::Edit {
                content: Content::File(file),
                ..
            } = op
            {
                self.contents.insert((op.node(), seq), file.clone());
            }
            seqs.push(seq);
        }
        GroupOutcome::Applied { seqs }
    }

    fn frames_of(&mut self, index: usize, item: &FetchItem) -> Vec<RemoteResult<Fetched>> {
        let start = |status, frames| {
            Ok(Fetched::Start(FetchStart {
                item: index as u32,
                status,
                frames,
            }))
        };
        let Some(content) = self.contents.get(&(item.node, item.content_seq)).cloned() else {
            return vec![start(FetchStatus::NotFound, 0)];
        };
        let (pages, chunks) = self.walk(&content).unwrap();
        let mut base = Vec::new();
        let (hashes, is_page) = match item.part.clone() {
            FetchPart::Pages => (pages, true),
            FetchPart::PagesFrom { base: seq } => {
                let old = self.contents.get(&(item.node, seq));
                let old = old.map_or_else(Vec::new, |old| self.walk(old).unwrap().0);
                base = old.iter().filter(|page| !pages.contains(page)).copied().collect();
                (
                    pages.into_iter().filter(|page| !old.contains(page)).collect(),
                    true,
                )
            }
            FetchPart::ChunksFrom {
                first,
                count,
                base: from,
            } => {
                base = from;
                let first = (first as usize).min(chunks.len());
                let last = (first + count as usize).min(chunks.len());
                (chunks[first..last].to_vec(), false)
            }
            FetchPart::Chunks { first, count } => {
                let first = (first as usize).min(chunks.len());
                let last = (first + count as usize).min(chunks.len());
                (chunks[first..last].to_vec(), false)
            }
        };
        if hashes.iter().any(|hash| !self.chunks.contains_key(hash)) {
            return vec![start(FetchStatus::Damaged, 0)];
        }
        let mut frames = vec![start(FetchStatus::Found, hashes.len() as u64)];
        for hash in hashes {
            let mut chunk = self.chunks[&hash].clone();
            if self.faults.damages.take_if(|damaged| *damaged == hash).is_some() {
                let mut bytes = chunk.bytes.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                chunk.bytes = Bytes::from(bytes);
            }
            let whole = ChunkFrame { hash, is_page, chunk };
            if base.is_empty() {
                frames.push(Ok(Fetched::Chunk(whole)));
                continue;
            }
            frames.push(Ok(Fetched::Delta(self.patch(hash, is_page, &base))));
        }
        frames
    }
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
        let groups: Vec<_> = decoded.groups.iter().map(|group| inner.apply(group)).collect();
        let reply = CommitReply {
            groups,
            cursor: Cursor {
                namespace: decoded.namespace,
                incarnation: Incarnation::new([1; 16]),
                seq: Seq::new(inner.head).unwrap(),
                chain: ChainHash::new([2; 32]),
            },
            base: ChainHash::new([3; 32]),
        };
        inner.settled.insert(decoded.op_id, (request, reply.clone()));
        if loses_reply {
            Err(Self::unreachable())
        } else {
            Ok(reply)
        }
    }

    async fn changes(&self, _: ChangesRequest) -> RemoteResult<ChangesReply> {
        let changes = &mut self.lock().faults.changes;
        let next = if changes.len() > 1 {
            changes.pop_front()
        } else {
            changes.front().cloned()
        };
        next.ok_or_else(Self::unreachable)
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

/// Numbers that never repeat within a test, tasks and threads of the test's runtime.
struct TestParts(AtomicU64);

impl Clock for TestParts {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_305_600_000)
    }
}

impl Entropy for TestParts {
    fn fill(&self, buffer: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        blake3::Hasher::new()
            .update(&count.to_le_bytes())
            .finalize_xof()
            .fill(buffer);
    }
}

impl Spawner for TestParts {
    fn spawn(&self, _: &'static str, task: BoxFuture<()>) {
        tokio::spawn(task);
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        Box::pin(async move { tokio::task::spawn_blocking(work).await.unwrap() })
    }
}

/// Counts the changes of threads, each of which costs more than the work on a small file.
pub(crate) struct CountedThreads {
    inner: Arc<dyn Spawner>,
    blocking: AtomicU64,
}

impl CountedThreads {
    /// Has a runtime count them from now on.
    pub(crate) fn of(runtime: &mut Runtime) -> Arc<Self> {
        let counted = Arc::new(Self {
            inner: Arc::clone(&runtime.spawner),
            blocking: AtomicU64::new(0),
        });
        runtime.spawner = counted.clone();
        counted
    }

    pub(crate) fn count(&self) -> u64 {
        self.blocking.load(Ordering::SeqCst)
    }
}

impl Spawner for CountedThreads {
    fn spawn(&self, name: &'static str, task: BoxFuture<()>) {
        self.inner.spawn(name, task);
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        self.blocking.fetch_add(1, Ordering::SeqCst);
        self.inner.run_blocking(work)
    }
}

/// A runtime on top of tokio's.
pub(crate) fn test_runtime() -> Runtime {
    let parts = Arc::new(TestParts(AtomicU64::new(1)));
    Runtime {
        clock: parts.clone(),
        entropy: parts.clone(),
        spawner: parts,
    }
}

/// Bytes that do not compress, different for each seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}
