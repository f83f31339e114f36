//! Fetches content, chunk by chunk, into any writer.

use std::io::Write;

use cairn_api::frame::ChunkFrame;
use cairn_api::sync::{Fetch, FetchItem, FetchPart, FetchStatus};
use cairn_codec::decode_chunk;
use cairn_core::manifest::{ChunkEntry, ManifestBuilder};
use cairn_core::node::{Content, FileContent, Node};
use futures::stream::{BoxStream, StreamExt};

use super::{Attempts, FilesError, RemoteFiles};
use crate::remote::{Fetched, RemoteError, RemoteResult};

/// Plaintext that is decoded and written at a time.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// A file that arrives.
///
/// Every chunk is checked against its name, and the names are put together to a manifest as they come: at the end it must
/// be the one that the file's identity was made from. So no list of chunks is fetched or kept.
struct Arriving<W> {
    sink: W,
    manifest: ManifestBuilder,
}

impl RemoteFiles {
    /// Fetches a file's content and writes it. Gives the writer back when the whole file arrived and is what its
    /// identity says; what was written before an error is of no use.
    ///
    /// # Errors
    /// [`FilesError`]; [`FilesError::OtherContent`] also when `node` is no file.
    pub async fn fetch_content<W: Write + Send + 'static>(
        &self,
        node: &Node,
        sink: W,
    ) -> Result<W, FilesError> {
        let Content::File(content) = &node.content else {
            return Err(FilesError::OtherContent);
        };
        let mut arriving = Arriving {
            sink,
            manifest: ManifestBuilder::new(),
        };
        let mut attempts = Attempts::new(&self.runtime);
        while arriving.manifest.chunk_count() < content.manifest.chunk_count() {
            let before = arriving.manifest.chunk_count();
            let cut;
            (arriving, cut) = self.fetch_on(node, content, arriving).await?;
            if arriving.manifest.chunk_count() > before {
                attempts.reset();
            }
            if let Some(error) = cut {
                attempts.pause(error).await?;
            }
        }
        let built = arriving.manifest.finish()?;
        if built.file_id != content.file_id || built.size != content.size {
            return Err(FilesError::OtherContent);
        }
        self.progress.down.files(1);
        Ok(arriving.sink)
    }

    /// Fetches from where it stands; says what cut it short.
    async fn fetch_on<W: Write + Send + 'static>(
        &self,
        node: &Node,
        content: &FileContent,
        mut arriving: Arriving<W>,
    ) -> Result<(Arriving<W>, Option<RemoteError>), FilesError> {
        let first = arriving.manifest.chunk_count();
        let count = content.manifest.chunk_count() - first;
        let item = FetchItem {
            node: node.id,
            content_seq: node.content_seq,
            part: FetchPart::Chunks { first, count },
        };
        let mut reply = match self.open(item, count).await {
            Ok(reply) => reply,
            Err(FilesError::Remote(error)) => return Ok((arriving, Some(error))),
            Err(error) => return Err(error),
        };
        let mut cut = None;
        while cut.is_none() && arriving.manifest.chunk_count() < content.manifest.chunk_count() {
            let left = content.manifest.chunk_count() - arriving.manifest.chunk_count();
            let frames;
            (frames, cut) = window(&mut reply, left).await;
            if frames.is_empty() {
                break;
            }
            let before = arriving.manifest.size();
            arriving = self.runtime.blocking(move || write(arriving, frames)).await?;
            let after = arriving.manifest.size();
            if after > content.size {
                return Err(FilesError::OtherContent);
            }
            self.progress.down.bytes(after - before);
        }
        Ok((arriving, cut))
    }

    async fn open(
        &self,
        item: FetchItem,
        count: u64,
    ) -> Result<BoxStream<'static, RemoteResult<Fetched>>, FilesError> {
        let request = Fetch {
            namespace: self.namespace,
            items: vec![item],
        };
        let mut reply = self.remote.fetch(request).await?;
        match reply.next().await {
            Some(Ok(Fetched::Start(start))) => match start.status {
                FetchStatus::NotFound => Err(FilesError::NotFound),
                FetchStatus::Damaged => Err(FilesError::Damaged),
                FetchStatus::Found if start.frames == count => Ok(reply),
                FetchStatus::Found => Err(FilesError::OtherContent),
            },
            Some(Ok(Fetched::Chunk(_) | Fetched::Delta(_))) => {
                Err(malformed("a chunk came before the item").into())
            }
            Some(Err(error)) => Err(error.into()),
            None => Err(malformed("the reply is empty").into()),
        }
    }
}

/// Collects the next frames, and why there are no more after them.
async fn window(
    reply: &mut BoxStream<'static, RemoteResult<Fetched>>,
    left: u64,
) -> (Vec<ChunkFrame>, Option<RemoteError>) {
    let mut frames = Vec::new();
    let mut bytes = 0;
    while bytes < WINDOW_BYTES && (frames.len() as u64) < left {
        match reply.next().await {
            Some(Ok(Fetched::Chunk(frame))) => {
                bytes += frame.chunk.plain_len as usize;
                frames.push(frame);
            }
            Some(Ok(Fetched::Start(_) | Fetched::Delta(_))) => {
                return (frames, Some(malformed("an item that was not asked for")));
            }
            Some(Err(error)) => return (frames, Some(error)),
            None => return (frames, Some(malformed("it ends before the last chunk"))),
        }
    }
    (frames, None)
}

fn write<W: Write>(mut arriving: Arriving<W>, frames: Vec<ChunkFrame>) -> Result<Arriving<W>, FilesError> {
    for frame in frames {
        let plaintext = decode_chunk(&frame.chunk, &frame.hash).map_err(|error| {
            tracing::warn!(chunk.hash = %frame.hash, %error, "a chunk arrived damaged");
            FilesError::OtherContent
        })?;
        let len = frame.chunk.plain_len;
        arriving.manifest.push(ChunkEntry {
            hash: frame.hash,
            len,
        })?;
        // The pages are only made for their hashes.
        drop(arriving.manifest.take_pages());
        arriving.sink.write_all(&plaintext).map_err(FilesError::Write)?;
    }
    Ok(arriving)
}

fn malformed(what: &str) -> RemoteError {
    RemoteError::Malformed {
        server: "the server".to_owned(),
        what: what.to_owned(),
    }
}
