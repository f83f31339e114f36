//! Follows a file's manifest through the chunk store.

use bytes::Bytes;
use cairn_codec::decode_chunk;
use cairn_core::ids::ChunkHash;
use cairn_core::manifest::{
    ChunkEntry, Manifest, ManifestError, ManifestReader, PAGE_MAX_BYTES, PlacedChunk, Step,
};
use cairn_core::node::FileContent;

use crate::error::ServiceError;
use crate::state::State;

/// The chunks of a file in order; pages are read as they are needed, at most one a level is kept.
pub(crate) struct ChunkWalk {
    reader: ManifestReader,
}

impl ChunkWalk {
    /// From the chunk with this index on.
    pub(crate) fn from_chunk(file: &FileContent, index: u64) -> Result<Self, ManifestError> {
        Ok(Self {
            reader: ManifestReader::at_chunk(&file.manifest, file.size, index)?,
        })
    }

    /// From the chunk that holds the byte at this offset on.
    pub(crate) fn from_offset(file: &FileContent, offset: u64) -> Result<Self, ManifestError> {
        Ok(Self {
            reader: ManifestReader::at_offset(&file.manifest, file.size, offset)?,
        })
    }

    /// The next chunk; `None` after the last.
    pub(crate) async fn next(&mut self, state: &State) -> Result<Option<ChunkEntry>, ServiceError> {
        Ok(self.next_placed(state).await?.map(|chunk| chunk.entry))
    }

    /// The next chunk with its offset; `None` after the last.
    pub(crate) async fn next_placed(&mut self, state: &State) -> Result<Option<PlacedChunk>, ServiceError> {
        loop {
            match self.reader.step() {
                Step::End => return Ok(None),
                Step::Chunk(chunk) => return Ok(Some(chunk)),
                Step::Need(hash) => {
                    let page = load_page(state, &hash).await?;
                    self.reader.give(&page).map_err(|error| damaged(hash, &error))?;
                }
            }
        }
    }
}

/// The beginning of a content, at most so many bytes of it.
pub(crate) async fn read(state: &State, file: &FileContent, most: usize) -> Result<Vec<u8>, ServiceError> {
    let mut walk = ChunkWalk::from_chunk(file, 0).map_err(|error| ServiceError::bad(error.to_string()))?;
    let mut bytes = Vec::new();
    while bytes.len() < most
        && let Some(entry) = walk.next(state).await?
    {
        let chunk = state.chunks.get(&entry.hash).await?;
        let chunk = chunk.ok_or_else(|| damaged(entry.hash, &"it is not in the chunk store"))?;
        let decode = move || decode_chunk(&chunk, &entry.hash);
        let plaintext = state.runtime.blocking(decode).await;
        bytes.extend_from_slice(&plaintext.map_err(|error| damaged(entry.hash, &error))?);
    }
    bytes.truncate(most);
    Ok(bytes)
}

/// Every page of a manifest, each before those below it, from left to right. None for an inline manifest.
pub(crate) async fn pages_of(state: &State, file: &FileContent) -> Result<Vec<ChunkHash>, ServiceError> {
    let mut pages = Vec::new();
    let Manifest::Tree { root, .. } = &file.manifest else {
        return Ok(pages);
    };
    let mut reader =
        ManifestReader::new(&file.manifest, file.size).map_err(|error| damaged(*root, &error))?;
    loop {
        match reader.step() {
            Step::End => return Ok(pages),
            Step::Chunk(_) => {}
            Step::Need(hash) => {
                pages.push(hash);
                let page = load_page(state, &hash).await?;
                reader.give(&page).map_err(|error| damaged(hash, &error))?;
            }
        }
    }
}

/// The plaintext of a manifest's page. Whether the caller may have it was decided before.
pub(crate) async fn load_page(state: &State, hash: &ChunkHash) -> Result<Bytes, ServiceError> {
    if let Some(page) = state.pages.get(hash) {
        return Ok(page);
    }
    let chunk = state.chunks.get(hash).await?;
    let chunk = chunk.ok_or_else(|| damaged(*hash, &"it is not in the chunk store"))?;
    if chunk.plain_len as usize > PAGE_MAX_BYTES {
        return Err(damaged(*hash, &"it is too long for a page of a manifest"));
    }
    // At most 53 KB: not worth a trip to the blocking pool.
    let page = decode_chunk(&chunk, hash).map_err(|error| damaged(*hash, &error))?;
    state.pages.insert(*hash, page.clone());
    Ok(page)
}

/// A chunk that is referenced and cannot be used.
pub(crate) fn damaged(hash: ChunkHash, what: &dyn std::fmt::Display) -> ServiceError {
    ServiceError::Damaged {
        hash,
        what: what.to_string(),
    }
}
