//! Sends the content of files, chunk by chunk, never a whole reply in memory.

mod batch;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cairn_api::frame::Frame;
use cairn_api::sync::{Fetch, FetchItem, FetchPart, FetchStart, FetchStatus, from_cbor};
use cairn_core::ids::{ChunkHash, NamespaceId};
use cairn_core::limits;
use cairn_core::manifest::PAGE_MAX_BYTES;
use cairn_core::node::FileContent;
use futures::future;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use self::batch::Batches;
use super::contents::{ChunkWalk, damaged, pages_of};
use super::patches::{self, NewPages};
use crate::auth::Caller;
use crate::error::ServiceError;
use crate::memory;
use crate::state::State;

/// Bytes of a block that is handed to the connection: as much as it takes at once, so that small frames go out together.
const BLOCK_BYTES: usize = 256 << 10;
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
        let end = sender.run(&request).await;
        if let Err(Stop::Failed(error)) = end {
            tracing::error!(device.id = %device, %error, "a download was cut");
        }
    });
    Ok(stream)
}

/// The frames that would be sent, those of each item by themselves and without its start. `None` where an item is not there, or
/// they take more than `most` bytes together. The caller has checked who may read the namespace.
pub(super) async fn little(
    state: &Arc<State>,
    request: &Fetch,
    most: usize,
) -> Result<Option<Vec<Vec<Frame>>>, ServiceError> {
    let mut batches = Batches::new(state, request);
    let mut items: Vec<Vec<Frame>> = Vec::with_capacity(request.items.len());
    let mut bytes = 0;
    loop {
        let frames = match batches.next().await {
            Ok(Some(frames)) => frames,
            Ok(None) => return Ok((items.len() == request.items.len()).then_some(items)),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Gone) => return Ok(None),
        };
        for frame in frames {
            if let Frame::Message(start) = &frame {
                let start: FetchStart =
                    from_cbor(start).map_err(|error| ServiceError::bad(error.to_string()))?;
                if start.status != FetchStatus::Found {
                    return Ok(None);
                }
                items.push(Vec::new());
                continue;
            }
            bytes += frame.wire_len();
            let Some(item) = items.last_mut().filter(|_| bytes <= most) else {
                return Ok(None);
            };
            item.push(frame);
        }
    }
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
    /// One batch goes out while the next is read.
    async fn run(&self, request: &Fetch) -> Result<(), Stop> {
        let mut batches = Batches::new(&self.state, request);
        let mut ready = batches.next().await?;
        while let Some(frames) = ready {
            let (sent, next) = future::join(self.send(&frames), batches.next()).await;
            sent?;
            ready = next?;
        }
        self.send(&[Frame::End]).await
    }

    /// Sends frames, small ones together.
    async fn send(&self, frames: &[Frame]) -> Result<(), Stop> {
        let mut block = BytesMut::new();
        for (index, frame) in frames.iter().enumerate() {
            if block.is_empty() {
                let rest = frames[index..].iter().map(Frame::wire_len).sum::<usize>();
                block.reserve(rest.min(BLOCK_BYTES.max(frame.wire_len())));
            }
            frame.encode(&mut block);
            if block.len() >= BLOCK_BYTES || index + 1 == frames.len() {
                let sent = self
                    .frames
                    .send_timeout(block.split().freeze(), self.state.config.download_stall_timeout)
                    .await;
                sent.map_err(|_| Stop::Gone)?;
            }
        }
        Ok(())
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

    /// The next chunk or page, with the bytes that it may take.
    async fn next(&mut self, state: &State) -> Result<Option<(ChunkHash, usize)>, ServiceError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match &mut self.source {
            Source::Chunks(walk) => {
                let entry = walk.next(state).await?;
                Ok(entry.map(|entry| (entry.hash, entry.len as usize)))
            }
            Source::Pages(pages) => Ok(pages.pop_front().map(|hash| (hash, PAGE_MAX_BYTES))),
        }
    }
}

fn root_of(file: &FileContent) -> ChunkHash {
    match &file.manifest {
        cairn_core::manifest::Manifest::Tree { root, .. } => *root,
        cairn_core::manifest::Manifest::Inline(entries) => entries
            .first()
            .map_or(ChunkHash::new([0; 32]), |entry| entry.hash),
    }
}
