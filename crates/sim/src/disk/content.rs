//! Bytes and attributes of files, and what makes them durable.

use std::io;
use std::sync::Arc;

use super::MetadataOrder;
use super::inode::{Body, Uid, blocks};
use super::state::State;

impl State {
    pub(super) fn write_at(&mut self, uid: Uid, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_writable()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let old_len = self.file(uid)?.bytes.len() as u64;
        let end = offset + bytes.len() as u64;
        self.resize(old_len, old_len.max(end))?;
        let file = self.file_mut(uid)?;
        let content = Arc::make_mut(&mut file.bytes);
        if old_len < end {
            content.resize(end as usize, 0);
        }
        content[offset as usize..end as usize].copy_from_slice(bytes);
        self.touch(uid, true);
        self.tell_file(uid);
        Ok(())
    }

    pub(super) fn set_len(&mut self, uid: Uid, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let old_len = self.file(uid)?.bytes.len() as u64;
        self.resize(old_len, len)?;
        if old_len != len {
            let file = self.file_mut(uid)?;
            Arc::make_mut(&mut file.bytes).resize(len as usize, 0);
            file.was_cut |= len < old_len;
            file.is_forsaken &= len > 0;
        }
        self.touch(uid, true);
        self.tell_file(uid);
        Ok(())
    }

    fn resize(&mut self, old_len: u64, new_len: u64) -> io::Result<()> {
        let (old, new) = (blocks(old_len), blocks(new_len));
        if new > old {
            self.check_space(new - old)?;
        }
        self.used_bytes = self.used_bytes + new - old;
        Ok(())
    }

    pub(super) fn set_mode(&mut self, uid: Uid, mode: u32) -> io::Result<()> {
        self.check_writable()?;
        self.inode_mut(uid)?.attributes.mode = mode & 0o7777;
        self.touch(uid, false);
        self.tell_file(uid);
        Ok(())
    }

    pub(super) fn set_mtime(&mut self, uid: Uid, mtime_ns: i128) -> io::Result<()> {
        self.check_writable()?;
        let rounded = self.rounded(mtime_ns);
        self.touch(uid, false);
        self.inode_mut(uid)?.attributes.mtime_ns = rounded;
        self.tell_file(uid);
        Ok(())
    }

    pub(super) fn sync_file(&mut self, uid: Uid) -> io::Result<()> {
        if self.inode(uid)?.is_dirty() {
            self.check_writable()?;
        }
        let inode = self.inode_mut(uid)?;
        if matches!(inode.body, Body::File(_)) {
            inode.write_out();
        }
        if self.options.metadata_order == MetadataOrder::Prefix {
            self.commit_all();
        }
        Ok(())
    }

    /// A sync that fails: the bytes are not written, and no later sync writes them.
    pub(super) fn forsake(&mut self, uid: Uid) -> io::Result<()> {
        self.failed_syncs += 1;
        let forgets = self.failed_syncs.is_multiple_of(2);
        let file = self.file_mut(uid)?;
        if Arc::ptr_eq(&file.bytes, &file.durable) {
            return Ok(());
        }
        file.is_forsaken = !forgets;
        if forgets {
            let (old_len, new_len) = (file.bytes.len() as u64, file.durable.len() as u64);
            file.bytes = Arc::clone(&file.durable);
            self.used_bytes = self.used_bytes + blocks(new_len) - blocks(old_len);
        }
        Ok(())
    }

    pub(super) fn sync_folder(&mut self, uid: Uid) -> io::Result<()> {
        if !self.journal.is_empty() {
            self.check_writable()?;
        }
        match self.options.metadata_order {
            MetadataOrder::Prefix => self.commit_all(),
            MetadataOrder::Any => {
                let covered = self.journal.covered_by(uid);
                self.journal.commit(&covered, &mut self.inodes);
                self.forget_released();
            }
        }
        Ok(())
    }

    /// Writes all names, and the attributes of what has no bytes to be written.
    fn commit_all(&mut self) {
        self.journal.commit_all(&mut self.inodes);
        self.forget_released();
        for inode in self.inodes.values_mut() {
            if !inode.has_unwritten_bytes() {
                inode.durable_attributes = inode.attributes;
            }
        }
    }

    pub(super) fn sync_all(&mut self) {
        for inode in self.inodes.values_mut() {
            if let Body::File(file) = &mut inode.body {
                file.durable = Arc::clone(&file.bytes);
                file.was_cut = false;
                file.is_forsaken = false;
            }
            inode.durable_attributes = inode.attributes;
        }
        self.commit_all();
    }
}
