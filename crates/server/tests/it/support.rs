//! A server in this process, and the bytes that a device would send it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::{Bytes, BytesMut};
use cairn_api::error::{ApiError, ErrorCode};
use cairn_api::frame::{ChunkFrame, Frame, FrameReader};
use cairn_api::sync::{
    CommitReply, CommitRequest, Fetch, FetchItem, FetchPart, FetchStart, Have, HaveReply, Login, LoginReply,
    from_cbor, path, to_cbor,
};
use cairn_chunks::{ChunkError, ChunkStore, EncodedChunk, Lease, MemoryChunks, NewChunk};
use cairn_codec::encode_chunk;
use cairn_core::change::{GroupOutcome, Op};
use cairn_core::file_hasher::FileHasher;
use cairn_core::ids::{ChunkHash, DeviceId, NamespaceId, NodeId, OpId};
use cairn_core::node::{Attributes, Content, FileContent, Place};
use cairn_core::rev::Seq;
use cairn_core::runtime::{BoxFuture, Clock, Entropy, Runtime, Spawner};
use cairn_core::time::Timestamp;
use cairn_metadata::{MemoryMetadata, MetadataStore};
use cairn_server::service::accounts::{NewAccount, create_account};
use cairn_server::{Server, ServerConfig};
use http_body_util::BodyExt;
use minicbor::{Decode, Encode};
use tokio::sync::watch;
use tower::ServiceExt;

use crate::contract::contract;

pub(crate) const PASSWORD: &str = "correct horse";
/// No test waits longer for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A clock that stands still until it is moved.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).unwrap();
    }
}

pub(crate) struct TokioSpawner;

impl Spawner for TokioSpawner {
    fn spawn(&self, _: &'static str, task: BoxFuture<()>) {
        tokio::spawn(task);
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        let running = tokio::task::spawn_blocking(work);
        Box::pin(async move { running.await.unwrap() })
    }
}

/// A chunk store whose disk can be full or stuck, and whose chunks can rot.
#[derive(Default)]
pub(crate) struct FaultyChunks {
    inner: MemoryChunks,
    pub(crate) is_full: AtomicBool,
    pub(crate) rotten: Mutex<HashSet<ChunkHash>>,
    found_rotten: Mutex<HashSet<ChunkHash>>,
    /// Whether whoever reads waits until it is so no longer.
    pub(crate) is_stuck: watch::Sender<bool>,
}

#[async_trait]
impl ChunkStore for FaultyChunks {
    async fn put(&self, chunks: Vec<NewChunk>) -> cairn_chunks::Result<Lease> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(ChunkError::Full { path: "/full".into() });
        }
        // What a read has found damaged is stored anew.
        for new in &chunks {
            if self.found_rotten.lock().unwrap().remove(&new.hash) {
                self.rotten.lock().unwrap().remove(&new.hash);
            }
        }
        self.inner.put(chunks).await
    }

    async fn get(&self, hash: &ChunkHash) -> cairn_chunks::Result<Option<EncodedChunk>> {
        let mut is_stuck = self.is_stuck.subscribe();
        is_stuck.wait_for(|is_stuck| !is_stuck).await.unwrap();
        if self.rotten.lock().unwrap().contains(hash) {
            self.found_rotten.lock().unwrap().insert(*hash);
            return Err(ChunkError::Corrupt {
                hash: *hash,
                what: "it rotted".into(),
            });
        }
        self.inner.get(hash).await
    }

    async fn touch(&self, hashes: &[ChunkHash]) -> cairn_chunks::Result<(Vec<bool>, Lease)> {
        self.inner.touch(hashes).await
    }

    async fn list(&self, after: Option<&ChunkHash>, limit: usize) -> cairn_chunks::Result<Vec<ChunkHash>> {
        self.inner.list(after, limit).await
    }

    async fn close(&self) -> cairn_chunks::Result<()> {
        self.inner.close().await
    }
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) router: Router,
    pub(crate) metadata: Arc<dyn MetadataStore>,
    pub(crate) chunks: Arc<FaultyChunks>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) runtime: Runtime,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Raw {
    pub(crate) fn error(&self) -> ApiError {
        assert!(!self.status.is_success(), "{self:?}");
        let error: ApiError = from_cbor(&self.body).unwrap();
        assert_eq!(error.code.status(), self.status.as_u16());
        assert_eq!(self.headers["x-request-id"], error.request_id.as_str());
        error
    }

    pub(crate) fn ok<T: for<'b> Decode<'b, ()>>(&self) -> T {
        assert!(
            self.status.is_success(),
            "{} {:?}",
            self.status,
            from_cbor::<ApiError>(&self.body)
        );
        from_cbor(&self.body).unwrap()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(ServerConfig::default())
    }

    pub(crate) fn with(config: ServerConfig) -> Self {
        Self::over(config, Arc::new(MemoryMetadata::new()), Arc::new(TokioSpawner))
    }

    /// The same over another metadata store, and another way to run work that blocks.
    pub(crate) fn over(
        config: ServerConfig,
        metadata: Arc<dyn MetadataStore>,
        spawner: Arc<dyn Spawner>,
    ) -> Self {
        let chunks = Arc::new(FaultyChunks::default());
        let clock = Arc::new(TestClock(AtomicI64::new(1_795_305_600_000)));
        let runtime = Runtime {
            clock: clock.clone(),
            entropy: Arc::new(OsEntropy),
            spawner,
        };
        let server = Server::open(config, metadata.clone(), chunks.clone(), runtime.clone());
        let router = server.router();
        Self {
            server,
            router,
            metadata,
            chunks,
            clock,
            runtime,
        }
    }

    pub(crate) async fn account(&self, email: &str) {
        let new = NewAccount {
            email: email.to_owned(),
            password: PASSWORD.to_owned(),
            is_admin: false,
            quota_bytes: None,
        };
        create_account(self.metadata.as_ref(), &self.runtime, new)
            .await
            .unwrap();
    }

    /// A new account with one linked device.
    pub(crate) async fn device(&self, email: &str) -> Device<'_> {
        self.account(email).await;
        self.link(email).await
    }

    /// Another device of an account.
    pub(crate) async fn link(&self, email: &str) -> Device<'_> {
        let reply: LoginReply = self.post(path::LOGIN, None, &login(email, PASSWORD)).await.ok();
        self.of(reply)
    }

    /// The device that was linked so.
    pub(crate) fn of(&self, link: LoginReply) -> Device<'_> {
        Device {
            world: self,
            token: link.token.clone(),
            root: link.root,
            link,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Raw {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let raw = Raw {
            status: parts.status,
            headers: parts.headers,
            body,
        };
        if path.starts_with("/2/") {
            contract(&self.router).await.hold(&method, &path, &raw);
        }
        raw
    }

    pub(crate) async fn post<T: Encode<()>>(&self, path: &str, token: Option<&str>, message: &T) -> Raw {
        self.send(request("POST", path, token, to_cbor(message))).await
    }
}

pub(crate) fn request(method: &str, path: &str, token: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(body.into()).unwrap()
}

pub(crate) fn login(email: &str, password: &str) -> Login {
    Login {
        email: email.to_owned(),
        password: password.to_owned(),
        device_name: "a laptop".to_owned(),
        device: DeviceId::random(&OsEntropy),
        code: None,
    }
}

/// A linked device.
pub(crate) struct Device<'w> {
    world: &'w World,
    pub(crate) token: String,
    pub(crate) root: NamespaceId,
    pub(crate) link: LoginReply,
}

impl Device<'_> {
    pub(crate) async fn get(&self, path: &str) -> Raw {
        self.world
            .send(request("GET", path, Some(&self.token), Body::empty()))
            .await
    }

    pub(crate) async fn post<T: Encode<()>>(&self, path: &str, message: &T) -> Raw {
        self.world.post(path, Some(&self.token), message).await
    }

    pub(crate) async fn bytes(&self, path: &str, body: Bytes) -> Raw {
        self.world
            .send(request("POST", path, Some(&self.token), body))
            .await
    }

    pub(crate) async fn upload(&self, namespace: NamespaceId, chunks: &[Frame]) -> Raw {
        self.bytes(&chunks_path(namespace), body(chunks)).await
    }

    pub(crate) async fn have(&self, hashes: Vec<ChunkHash>) -> Vec<bool> {
        let reply: HaveReply = self
            .post(
                path::HAVE,
                &Have {
                    namespace: self.root,
                    hashes,
                },
            )
            .await
            .ok();
        reply.have
    }

    pub(crate) async fn commit(&self, chunks: &[Frame], request: &CommitRequest) -> Raw {
        self.bytes(path::COMMIT, commit_body(chunks, request)).await
    }

    /// Puts a file into the root folder.
    pub(crate) async fn put(&self, name: &str, file: &TestFile) -> (NodeId, Seq) {
        self.put_with(name, file, &file.all()).await
    }

    /// Puts a file into the root folder whose chunks were uploaded before.
    pub(crate) async fn put_uploaded(&self, name: &str, file: &TestFile) -> (NodeId, Seq) {
        self.put_with(name, file, &[]).await
    }

    /// Puts a long file into the root folder whose chunks, but not its pages, were uploaded before.
    pub(crate) async fn put_with_pages(&self, name: &str, file: &TestFile) -> (NodeId, Seq) {
        self.put_with(name, file, &file.pages).await
    }

    async fn put_with(&self, name: &str, file: &TestFile, chunks: &[Frame]) -> (NodeId, Seq) {
        let node = NodeId::random(&OsEntropy);
        let request = self.request(vec![vec![file.create(node, name)]]);
        let reply: CommitReply = self.commit(chunks, &request).await.ok();
        match &reply.groups[..] {
            [GroupOutcome::Applied { seqs }] => (node, seqs[0]),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn request(&self, groups: Vec<Vec<Op>>) -> CommitRequest {
        CommitRequest {
            namespace: self.root,
            op_id: OpId::random(&OsEntropy),
            groups,
            known: None,
            is_on_behalf: false,
        }
    }

    pub(crate) async fn fetch(&self, items: Vec<FetchItem>) -> Vec<Frame> {
        let raw = self
            .post(
                path::FETCH,
                &Fetch {
                    namespace: self.root,
                    items,
                },
            )
            .await;
        assert_eq!(
            raw.status,
            StatusCode::OK,
            "{:?}",
            from_cbor::<ApiError>(&raw.body)
        );
        frames(&raw.body)
    }
}

pub(crate) fn chunks_path(namespace: NamespaceId) -> String {
    format!("{}?ns={namespace}", path::CHUNKS)
}

pub(crate) fn item(node: NodeId, content_seq: Seq) -> FetchItem {
    FetchItem {
        node,
        content_seq,
        part: FetchPart::Chunks {
            first: 0,
            count: u64::MAX,
        },
    }
}

/// A body of these frames and an end frame.
pub(crate) fn body(frames: &[Frame]) -> Bytes {
    let mut bytes = BytesMut::new();
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    Frame::End.encode(&mut bytes);
    bytes.freeze()
}

pub(crate) fn commit_body(chunks: &[Frame], request: &CommitRequest) -> Bytes {
    let mut frames = chunks.to_vec();
    frames.push(Frame::Message(to_cbor(request).into()));
    body(&frames)
}

/// The frames of a body, as far as it goes.
pub(crate) fn frames(body: &[u8]) -> Vec<Frame> {
    let mut reader = FrameReader::new();
    reader.push(body);
    std::iter::from_fn(|| reader.next_frame().unwrap()).collect()
}

pub(crate) fn start_of(frame: &Frame) -> FetchStart {
    match frame {
        Frame::Message(message) => from_cbor(message).unwrap(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn chunk(plaintext: &[u8]) -> Frame {
    Frame::Chunk(ChunkFrame {
        hash: ChunkHash::of(plaintext),
        is_page: false,
        chunk: encode_chunk(plaintext),
    })
}

pub(crate) fn hash_of(frame: &Frame) -> ChunkHash {
    match frame {
        Frame::Chunk(frame) => frame.hash,
        other => panic!("{other:?}"),
    }
}

/// A file as a device prepares it.
pub(crate) struct TestFile {
    pub(crate) content: FileContent,
    pub(crate) chunks: Vec<Frame>,
    pub(crate) pages: Vec<Frame>,
}

impl TestFile {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut hasher = FileHasher::new();
        let mut chunks = Vec::new();
        let mut input = bytes;
        while let Some((_, plaintext)) = hasher.next_chunk(&mut input).unwrap() {
            chunks.push(chunk(plaintext));
        }
        if let Some((_, plaintext)) = hasher.last_chunk().unwrap() {
            chunks.push(chunk(plaintext));
        }
        let summary = hasher.finish().unwrap();
        let page = |page: &cairn_core::manifest::EncodedPage| {
            Frame::Chunk(ChunkFrame {
                hash: page.hash,
                is_page: true,
                chunk: encode_chunk(&page.bytes),
            })
        };
        Self {
            content: summary.content,
            chunks,
            pages: summary.pages.iter().map(page).collect(),
        }
    }

    /// A file of pseudo-random bytes that depend on the seed.
    pub(crate) fn random(seed: &str, len: usize) -> Self {
        let mut bytes = vec![0; len];
        blake3::Hasher::new()
            .update(seed.as_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        Self::new(&bytes)
    }

    pub(crate) fn all(&self) -> Vec<Frame> {
        [&self.chunks[..], &self.pages[..]].concat()
    }

    pub(crate) fn create(&self, node: NodeId, name: &str) -> Op {
        create(node, name, Content::File(self.content.clone()))
    }
}

pub(crate) fn create(node: NodeId, name: &str, content: Content) -> Op {
    let place = Place {
        parent: NodeId::ROOT,
        name: cairn_core::name::NodeName::new(name).unwrap(),
    };
    Op::Create {
        node,
        place,
        content,
        attributes: Attributes::default(),
    }
}

pub(crate) fn new_node() -> NodeId {
    NodeId::random(&OsEntropy)
}

/// Checks that an answer is this error.
#[track_caller]
pub(crate) fn assert_refused(raw: &Raw, code: ErrorCode) -> ApiError {
    let error = raw.error();
    assert_eq!(error.code, code, "{error:?}");
    error
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it takes too long")
}
