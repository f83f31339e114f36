//! Everything that is known of a file's bytes after reading them once.

use crate::chunker::Chunker;
use crate::content_hash::ContentHasher;
use crate::ids::ContentHash;
use crate::manifest::{BuiltManifest, ChunkEntry, EncodedPage, ManifestBuilder, ManifestError};
use crate::node::FileContent;

/// What one pass over a file's bytes says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// The bytes, by reference.
    pub content: FileContent,
    /// The manifest's pages that [`FileHasher::take_pages`] has not yet handed out, children before parents.
    pub pages: Vec<EncodedPage>,
}

impl FileSummary {
    /// Puts together what was computed apart.
    pub fn new(built: BuiltManifest, content_hash: ContentHash) -> Self {
        Self {
            content: FileContent {
                size: built.size,
                file_id: built.file_id,
                manifest: built.manifest,
                content_hash,
            },
            pages: built.pages,
        }
    }
}

/// Cuts a file into chunks and computes their hashes, the manifest and the file id in one pass: all but the content hash.
///
/// Keeps one chunk and the manifest's open pages, never the file.
#[derive(Debug, Default)]
pub struct ChunkHasher {
    chunker: Chunker,
    manifest: ManifestBuilder,
}

impl ChunkHasher {
    /// Begins a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` and returns the next whole chunk with its plaintext; `None` when all of
    /// `input` was taken and more is needed.
    ///
    /// Call it until it returns `None`, then with the file's next piece; [`Self::last_chunk`] after the last.
    ///
    /// # Errors
    /// [`ManifestError::TooManyChunks`] when the file is larger than a manifest can say.
    pub fn next_chunk<'out, 'input: 'out>(
        &'out mut self,
        input: &mut &'input [u8],
    ) -> Result<Option<(ChunkEntry, &'out [u8])>, ManifestError> {
        let chunk = self.chunker.next_chunk(input);
        enter(&mut self.manifest, chunk)
    }

    /// Ends the file's last chunk and returns it; `None` when the file ended at a cut or is empty.
    ///
    /// # Errors
    /// As [`Self::next_chunk`].
    pub fn last_chunk(&mut self) -> Result<Option<(ChunkEntry, &[u8])>, ManifestError> {
        enter(&mut self.manifest, self.chunker.last_chunk())
    }

    /// Takes a piece of the file without looking at the chunks.
    ///
    /// # Errors
    /// As [`Self::next_chunk`].
    pub fn update(&mut self, mut piece: &[u8]) -> Result<(), ManifestError> {
        while self.next_chunk(&mut piece)?.is_some() {}
        Ok(())
    }

    /// Hands out the manifest's pages finished since the last call, children before parents.
    pub fn take_pages(&mut self) -> Vec<EncodedPage> {
        self.manifest.take_pages()
    }

    /// Ends the file. Who wants the last chunk's bytes asks for [`Self::last_chunk`] first.
    ///
    /// # Errors
    /// As [`Self::next_chunk`].
    pub fn finish(mut self) -> Result<BuiltManifest, ManifestError> {
        self.last_chunk()?;
        self.manifest.finish()
    }
}

/// As [`ChunkHasher`], and the content hash in the same pass.
#[derive(Debug, Default)]
pub struct FileHasher {
    chunks: ChunkHasher,
    content_hash: ContentHasher,
}

impl FileHasher {
    /// Begins a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`ChunkHasher::next_chunk`].
    ///
    /// # Errors
    /// As [`ChunkHasher::next_chunk`].
    pub fn next_chunk<'out, 'input: 'out>(
        &'out mut self,
        input: &mut &'input [u8],
    ) -> Result<Option<(ChunkEntry, &'out [u8])>, ManifestError> {
        let piece: &'input [u8] = input;
        let chunk = self.chunks.chunker.next_chunk(input);
        self.content_hash.update(&piece[..piece.len() - input.len()]);
        enter(&mut self.chunks.manifest, chunk)
    }

    /// As [`ChunkHasher::last_chunk`].
    ///
    /// # Errors
    /// As [`ChunkHasher::next_chunk`].
    pub fn last_chunk(&mut self) -> Result<Option<(ChunkEntry, &[u8])>, ManifestError> {
        self.chunks.last_chunk()
    }

    /// Takes a piece of the file for its summary alone, without looking at the chunks.
    ///
    /// # Errors
    /// As [`ChunkHasher::next_chunk`].
    pub fn update(&mut self, piece: &[u8]) -> Result<(), ManifestError> {
        self.content_hash.update(piece);
        self.chunks.update(piece)
    }

    /// Hands out the manifest's pages finished since the last call, children before parents.
    pub fn take_pages(&mut self) -> Vec<EncodedPage> {
        self.chunks.take_pages()
    }

    /// Ends the file. Who wants the last chunk's bytes asks for [`Self::last_chunk`] first.
    ///
    /// # Errors
    /// As [`ChunkHasher::next_chunk`].
    pub fn finish(self) -> Result<FileSummary, ManifestError> {
        let built = self.chunks.finish()?;
        Ok(FileSummary::new(built, self.content_hash.finish()))
    }
}

/// Enters a chunk, if there is one, in the manifest.
fn enter<'out>(
    manifest: &mut ManifestBuilder,
    chunk: Option<&'out [u8]>,
) -> Result<Option<(ChunkEntry, &'out [u8])>, ManifestError> {
    let Some(bytes) = chunk else {
        return Ok(None);
    };
    let entry = ChunkEntry::of(bytes);
    manifest.push(entry)?;
    Ok(Some((entry, bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ChunkHash;
    use crate::manifest::Manifest;

    fn stream(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new()
            .update(b"file")
            .finalize_xof()
            .fill(&mut bytes);
        bytes
    }

    #[test]
    fn one_pass_yields_the_chunks_and_all_that_names_the_file() {
        let data = stream(5_000_000);
        let mut hasher = FileHasher::new();
        let mut entries = Vec::new();
        let mut plaintext = Vec::new();
        for mut piece in data.chunks(70_001) {
            while let Some((entry, bytes)) = hasher.next_chunk(&mut piece).unwrap() {
                assert_eq!(entry.hash, ChunkHash::of(bytes));
                entries.push(entry);
                plaintext.extend_from_slice(bytes);
            }
        }
        let last = hasher.last_chunk().unwrap();
        entries.extend(last.map(|(entry, _)| entry));
        plaintext.extend(last.into_iter().flat_map(|(_, bytes)| bytes));
        assert_eq!(plaintext, data);

        let summary = hasher.finish().unwrap();
        assert_eq!(summary.content.size, data.len() as u64);
        assert_eq!(summary.content.manifest, Manifest::Inline(entries));
        assert_eq!(
            summary.content.file_id,
            summary.content.manifest.file_id(summary.content.size)
        );
        let mut content_hash = ContentHasher::new();
        content_hash.update(&data);
        assert_eq!(summary.content.content_hash, content_hash.finish());
        assert!(summary.pages.is_empty());
    }

    #[test]
    fn the_summary_does_not_depend_on_the_pieces() {
        let data = stream(25_000_000);
        let mut whole = FileHasher::new();
        whole.update(&data).unwrap();
        let whole = whole.finish().unwrap();
        assert!(matches!(whole.content.manifest, Manifest::Tree { .. }));
        let mut pieced = FileHasher::new();
        for piece in data.chunks(999_983) {
            pieced.update(piece).unwrap();
        }
        assert_eq!(pieced.finish().unwrap(), whole);
    }

    #[test]
    fn chunks_and_content_hash_may_be_computed_apart() {
        let data = stream(25_000_000);
        let (mut chunks, mut content_hash) = (ChunkHasher::new(), ContentHasher::new());
        for piece in data.chunks(1_000_003) {
            chunks.update(piece).unwrap();
            content_hash.update(piece);
        }
        let apart = FileSummary::new(chunks.finish().unwrap(), content_hash.finish());
        let mut together = FileHasher::new();
        together.update(&data).unwrap();
        assert_eq!(apart, together.finish().unwrap());
    }

    #[test]
    fn an_empty_file_has_no_chunks() {
        let summary = FileHasher::new().finish().unwrap();
        assert_eq!(summary.content.size, 0);
        assert_eq!(summary.content.manifest, Manifest::Inline(Vec::new()));
    }
}
