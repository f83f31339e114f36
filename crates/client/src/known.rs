//! What is remembered of a content: its chunks in order and the pages that list them. Whoever reads the file again reads it
//! where it was cut then: the chunks' hashes tell whether it is the same, and nothing need be cut or summed up anew.

use bytes::Bytes;
use cairn_core::ids::ChunkHash;
use cairn_core::manifest::{ChunkEntry, EncodedPage, Manifest};
use cairn_core::node::FileContent;

use crate::base;
use crate::fs::{FsResult, ReadFile};
use crate::state::{ClientState, StateResult};

/// A content with all its chunks. Bounded as [`cairn_core::base::Base`] is.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) content: FileContent,
    pub(crate) chunks: Vec<ChunkEntry>,
    /// Children before parents.
    pub(crate) pages: Vec<EncodedPage>,
}

impl Known {
    /// What a content whose manifest lists its chunks says itself.
    pub(crate) fn inline(content: &FileContent) -> Option<Self> {
        match &content.manifest {
            Manifest::Inline(chunks) => Some(Self {
                content: content.clone(),
                chunks: chunks.clone(),
                pages: Vec::new(),
            }),
            Manifest::Tree { .. } => None,
        }
    }

    /// What is remembered of a content; `None` when not all of its pages are.
    pub(crate) async fn load(state: &dyn ClientState, content: &FileContent) -> StateResult<Option<Self>> {
        if let Some(known) = Self::inline(content) {
            return Ok(Some(known));
        }
        let Some(base) = base::load(state, content).await? else {
            return Ok(None);
        };
        let (chunks, pages) = base.into_lists();
        Ok(Some(Self {
            content: content.clone(),
            chunks,
            pages,
        }))
    }
}

/// Reads the chunk that stands at a place; `None` when other bytes are there.
pub(crate) fn read_chunk(
    file: &mut dyn ReadFile,
    offset: u64,
    chunk: &ChunkEntry,
) -> FsResult<Option<Bytes>> {
    let mut bytes = vec![0; chunk.len as usize];
    let len = file.read_at(offset, &mut bytes)?;
    Ok((len == bytes.len() && ChunkHash::of(&bytes) == chunk.hash).then(|| Bytes::from(bytes)))
}

/// Whether a chunk stands at a place.
pub(crate) fn has_chunk(
    file: &mut dyn ReadFile,
    offset: u64,
    chunk: &ChunkEntry,
    buffer: &mut [u8],
) -> FsResult<bool> {
    let Some(piece) = buffer.get_mut(..chunk.len as usize) else {
        return Ok(false);
    };
    Ok(file.read_at(offset, piece)? == piece.len() && ChunkHash::of(piece) == chunk.hash)
}
