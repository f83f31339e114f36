//! One hash for all that a folder holds, so that two sides find where they differ without sending their trees.
//!
//! A folder's hash is BLAKE3 in a context of its own over its children in the order of their [`NameKey`]s. Each child
//! gives one record; records say their own length, so that no two lists of children read alike:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | kind: 0 folder, 1 file, 2 link |
//! | 1 | whether the owner may execute it: 0 or 1; 0 for folders and links |
//! | 4 | length of the name in bytes, little endian |
//! | n | the name as typed, UTF-8 |
//! | 32 | folder: its hash |
//! | 8 + 32 | file: its size, little endian, and its file id |
//! | 4 + n | link: the length of its target, little endian, and the target |
//!
//! Times are no part of it, nor are node ids: two trees that look alike hash alike.

use crate::ids::{FileId, TreeHash};
use crate::name::{NameKey, NodeName};

/// Keeps folder hashes apart from every other use of the hash.
const CONTEXT: &str = "cairn 2026-11-22 folder tree hash v1";

/// What a child holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Child<'a> {
    /// A folder.
    Folder {
        /// Its hash.
        hash: TreeHash,
    },
    /// A file.
    File {
        /// Identity of its bytes.
        file_id: FileId,
        /// Length in bytes.
        size: u64,
        /// Whether the owner may execute it.
        executable: bool,
    },
    /// A link.
    Symlink {
        /// Its target.
        target: &'a str,
    },
}

/// A child came before one that it must follow: hashes of such a list mean nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the children of a folder came out of order")]
pub struct OrderError;

/// Hashes one folder whose children come in order, in constant memory.
#[derive(Debug, Clone)]
pub struct FolderHasher {
    hasher: blake3::Hasher,
    last: Option<(NameKey, NodeName)>,
}

impl Default for FolderHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl FolderHasher {
    /// Begins a folder.
    pub fn new() -> Self {
        Self {
            hasher: blake3::Hasher::new_derive_key(CONTEXT),
            last: None,
        }
    }

    /// Takes the next child.
    ///
    /// # Errors
    /// [`OrderError`] when it does not come after the one before it, by name key and then by name.
    pub fn add(&mut self, name: &NodeName, child: &Child<'_>) -> Result<(), OrderError> {
        let position = (name.key(), name.clone());
        if self.last.as_ref().is_some_and(|last| *last >= position) {
            return Err(OrderError);
        }
        self.last = Some(position);
        let (kind, executable) = match child {
            Child::Folder { .. } => (0, false),
            Child::File { executable, .. } => (1, *executable),
            Child::Symlink { .. } => (2, false),
        };
        self.hasher.update(&[kind, u8::from(executable)]);
        self.text(name.as_str());
        match child {
            Child::Folder { hash } => {
                self.hasher.update(hash.as_bytes());
            }
            Child::File { file_id, size, .. } => {
                self.hasher.update(&size.to_le_bytes());
                self.hasher.update(file_id.as_bytes());
            }
            Child::Symlink { target } => self.text(target),
        }
        Ok(())
    }

    /// The hash of the children taken so far.
    pub fn finish(&self) -> TreeHash {
        TreeHash::new(*self.hasher.finalize().as_bytes())
    }

    /// Names have at most 1 KB and targets 4 KB: their lengths fit.
    fn text(&mut self, text: &str) {
        self.hasher.update(&(text.len() as u32).to_le_bytes());
        self.hasher.update(text.as_bytes());
    }
}

/// Hashes a folder whose children come in any order: by name key, then by name. Of two children with one name, which only a
/// broken tree has, the first counts.
pub fn folder_hash(children: &mut [(NodeName, Child<'_>)]) -> TreeHash {
    children.sort_by_cached_key(|(name, _)| (name.key(), name.clone()));
    let mut hasher = FolderHasher::new();
    for (name, child) in children.iter() {
        // Sorted: out of order is only what has the name of the one before.
        let _ = hasher.add(name, child);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
