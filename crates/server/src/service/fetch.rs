//! Sends the content of files, chunk by chunk, never a whole reply in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cairn_api::frame::{ChunkFrame, Frame};
use cairn_api::sync::{Fetch, FetchItem, FetchPart, FetchStart, FetchStatus, to_cbor};
use cairn_chunks::ChunkError;
use cairn_core::ids::{ChunkHash, NamespaceId};
use cairn_core::limits;
use cairn_core::node::{Content, FileContent};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::contents::{ChunkWalk, damaged, pages_of};
use super::patches::{self, NewPages};
use crate::auth::Caller;
use crate::error::ServiceError;
use crate::memory;
use crate::state::State;

/// Chunks that are read ahead of the reader: enough to hide the disk, 2 MiB at most.
const READ_AHEAD: usize = 8;
/// How long a download waits for its turn.
const DOWNLOAD_WAIT: std::time::Duration = std::time::Duration::from_secs(20);

/// A body that is being made. Dropping the receiver ends it.
pub(crate) type FrameStream = mpsc::Receiver<Bytes>;

/// Starts to send what was asked for. The stream ends without an end frame when something breaks on the way.
pub(crate) async fn fetch(
    state: &Arc<State>,
    caller: &Caller,
    request: Fetch,
) -> Result<FrameStream, ServiceError> {
    if request.items.len() > limits::COMMIT_BATCH_OPS {
        return Err(ServiceError::TooLarge {
            what: "items in one fetch",
            limit: limits::COMMIT_BATCH_OPS,
        });
    }
    state.check_access(caller, request.namespace).await?;
    let turn = memory::acquire(&state.downloads, 1, DOWNLOAD_WAIT).await?;
    let (frames, stream) = mpsc::channel(1);
    let sender = Sender {
        state: Arc::clone(state),
        frames,
        _turn: turn,
    };
    let device = caller.device;
    state.spawn("fetch", async move {
        let end = sender.run(request).await;
        if let Err(Stop::Failed(error)) = end {
            tracing::error!(device.id = %device, %error, "a download was cut");
        }
    });
    Ok(stream)
}

struct Sender {
    state: Arc<State>,
    frames: mpsc::Sender<Bytes>,
    _turn: OwnedSemaphorePermit,
}

/// Why a download ends early.
enum Stop {
    /// The reader went away or stands still.
    Gone,
    /// What was promised cannot be read.
    Failed(ServiceError),
}

impl From<ServiceError> for Stop {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error)
    }
}

impl Sender {
    async fn run(&self, request: Fetch) -> Result<(), Stop> {
        for (index, item) in request.items.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            self.item(request.namespace, index, item).await?;
        }
        self.send(&Frame::End).await
    }

    async fn item(&self, namespace: NamespaceId, index: u32, item: &FetchItem) -> Result<(), Stop> {
        let state = self.state.as_ref();
        let revision = state
            .metadata
            .revision(namespace, item.node, item.content_seq)
            .await;
        let Some(Content::File(file)) = revision.map_err(ServiceError::from)?.map(|node| node.content) else {
            return self.start(index, FetchStatus::NotFound, 0).await;
        };
        let mut run = match Run::open(state, namespace, item, &file).await {
            Ok(run) => run,
            Err(error) => return self.refuse(index, error).await,
        };
        let frame_count = run.left;
        // What is damaged near the front is told in good order; further on only the connection can be cut.
        let mut ahead = match run.first(state).await {
            Ok(ahead) => ahead,
            Err(error) => return self.refuse(index, error).await,
        };
        self.start(index, FetchStatus::Found, frame_count).await?;
        let mut reads = FuturesOrdered::new();
        loop {
            while ahead.len() + reads.len() < READ_AHEAD {
                let Some(hash) = run.next(state).await? else { break };
                reads.push_back(frame(state, Arc::clone(&run.form), hash));
            }
            let frame = match ahead.pop_front() {
                Some(frame) => frame,
                None => match reads.next().await {
                    Some(frame) => frame?,
                    None => return Ok(()),
                },
            };
            self.send(&frame).await?;
        }
    }

    async fn refuse(&self, index: u32, error: ServiceError) -> Result<(), Stop> {
        if !is_damage(&error) {
            return Err(Stop::Failed(error));
        }
        tracing::error!(%error, "content that is referenced cannot be read");
        self.start(index, FetchStatus::Damaged, 0).await
    }

    async fn start(&self, item: u32, status: FetchStatus, frames: u64) -> Result<(), Stop> {
        self.send(&Frame::Message(
            to_cbor(&FetchStart { item, status, frames }).into(),
        ))
        .await
    }

    async fn send(&self, frame: &Frame) -> Result<(), Stop> {
        let mut bytes = BytesMut::with_capacity(frame.wire_len());
        frame.encode(&mut bytes);
        let sent = self
            .frames
            .send_timeout(bytes.freeze(), self.state.config.download_stall_timeout)
            .await;
        sent.map_err(|_| Stop::Gone)
    }
}

/// The chunks or pages of one item that are still to be read.
struct Run {
    source: Source,
    left: u64,
    form: Arc<Form>,
}

enum Source {
    Chunks(Box<ChunkWalk>),
    Pages(VecDeque<ChunkHash>),
}

/// How chunks or pages go out.
enum Form {
    /// As they are stored.
    Whole,
    /// The same, of pages.
    WholePages,
    /// As patches against chunks that the device has.
    From(patches::Base),
    /// As patches against pages that the device has.
    NewPages(NewPages),
}

impl Run {
    async fn open(
        state: &State,
        namespace: NamespaceId,
        item: &FetchItem,
        file: &FileContent,
    ) -> Result<Self, ServiceError> {
        match &item.part {
            FetchPart::Chunks { first, count } => Self::chunks(file, *first, *count, Form::Whole),
            FetchPart::ChunksFrom { first, count, base } => {
                let base = patches::base(state, namespace, base.clone()).await?;
                Self::chunks(file, *first, *count, base.map_or(Form::Whole, Form::From))
            }
            FetchPart::Pages => {
                let pages = pages_of(state, file).await?;
                let left = pages.len() as u64;
                Ok(Self {
                    source: Source::Pages(pages.into()),
                    left,
                    form: Arc::new(Form::WholePages),
                })
            }
            FetchPart::PagesFrom { base } => {
                let mut new = NewPages::find(state, namespace, item.node, *base, file).await?;
                let pages = std::mem::take(&mut new.pages);
                Ok(Self {
                    left: pages.len() as u64,
                    source: Source::Pages(pages),
                    form: Arc::new(Form::NewPages(new)),
                })
            }
        }
    }

    fn chunks(file: &FileContent, first: u64, count: u64, form: Form) -> Result<Self, ServiceError> {
        let walk = ChunkWalk::from_chunk(file, first).map_err(|error| damaged(root_of(file), &error))?;
        Ok(Self {
            source: Source::Chunks(Box::new(walk)),
            left: file.manifest.chunk_count().saturating_sub(first).min(count),
            form: Arc::new(form),
        })
    }

    async fn next(&mut self, state: &State) -> Result<Option<ChunkHash>, ServiceError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match &mut self.source {
            Source::Chunks(walk) => Ok(walk.next(state).await?.map(|entry| entry.hash)),
            Source::Pages(pages) => Ok(pages.pop_front()),
        }
    }

    /// Reads the first few, all at once.
    async fn first(&mut self, state: &State) -> Result<VecDeque<Frame>, ServiceError> {
        let mut reads = FuturesOrdered::new();
        while reads.len() < READ_AHEAD {
            let Some(hash) = self.next(state).await? else {
                break;
            };
            reads.push_back(frame(state, Arc::clone(&self.form), hash));
        }
        let mut chunks = VecDeque::with_capacity(reads.len());
        while let Some(chunk) = reads.next().await {
            chunks.push_back(chunk?);
        }
        Ok(chunks)
    }
}

/// A chunk or a page as it goes out.
async fn frame(state: &State, form: Arc<Form>, hash: ChunkHash) -> Result<Frame, ServiceError> {
    if let Form::NewPages(pages) = form.as_ref() {
        return pages.frame(state, hash).await;
    }
    let chunk = state.chunks.get(&hash).await?;
    let chunk = chunk.ok_or_else(|| damaged(hash, &"it is not in the chunk store"))?;
    if let Form::From(base) = form.as_ref() {
        return patches::patched(state, base, hash, chunk).await;
    }
    Ok(Frame::Chunk(ChunkFrame {
        hash,
        is_page: matches!(form.as_ref(), Form::WholePages),
        chunk,
    }))
}

fn root_of(file: &FileContent) -> ChunkHash {
    match &file.manifest {
        cairn_core::manifest::Manifest::Tree { root, .. } => *root,
        cairn_core::manifest::Manifest::Inline(entries) => entries
            .first()
            .map_or(ChunkHash::new([0; 32]), |entry| entry.hash),
    }
}

const fn is_damage(error: &ServiceError) -> bool {
    matches!(
        error,
        ServiceError::Damaged { .. } | ServiceError::Chunks(ChunkError::Corrupt { .. })
    )
}
