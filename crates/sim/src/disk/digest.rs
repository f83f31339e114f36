//! A hash of what a disk shows.

use super::inode::{Body, Inode};
use super::state::State;

impl State {
    pub(super) fn content_digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let mut waiting = vec![self.shown_root()];
        while let Some(uid) = waiting.pop() {
            let Ok(folder) = self.folder(uid) else {
                continue;
            };
            hasher.update(&(folder.entries.len() as u64).to_le_bytes());
            for entry in folder.entries.values() {
                add_bytes(&mut hasher, entry.name.as_encoded_bytes());
                let Some(inode) = self.inodes.get(&entry.uid) else {
                    continue;
                };
                add_inode(&mut hasher, inode);
                if inode.is_folder() {
                    waiting.push(entry.uid);
                }
            }
        }
        hasher.finalize()
    }
}

fn add_inode(hasher: &mut blake3::Hasher, inode: &Inode) {
    hasher.update(&inode.number.to_le_bytes());
    hasher.update(&inode.born_ns.to_le_bytes());
    hasher.update(&inode.attributes.mode.to_le_bytes());
    hasher.update(&inode.attributes.mtime_ns.to_le_bytes());
    hasher.update(&inode.attributes.ctime_ns.to_le_bytes());
    match &inode.body {
        Body::Folder(_) => {
            hasher.update(b"folder");
        }
        Body::Pipe => {
            hasher.update(b"pipe");
        }
        Body::File(file) => {
            hasher.update(b"file");
            add_bytes(hasher, &file.bytes);
        }
        Body::Link(target) => {
            hasher.update(b"link");
            add_bytes(hasher, target.as_bytes());
        }
    }
}

fn add_bytes(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}
