//! Paths as people write them.

use std::ffi::OsStr;
use std::io;

use cairn_client::fs::disk::RenameMode;

use super::inode::Uid;
use super::state::{State, Who, failure};

impl State {
    /// The folder that holds a path, and the name there.
    pub(super) fn find_parent<'path>(&self, path: &'path str) -> io::Result<(Uid, &'path str)> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let names: Vec<&str> = above.split('/').filter(|name| !name.is_empty()).collect();
        Ok((self.walk(self.shown_root(), &names, Who::User)?, name))
    }

    /// What is at a path, which is empty for the root.
    pub(super) fn find(&self, path: &str) -> io::Result<Uid> {
        if path.is_empty() {
            return Ok(self.shown_root());
        }
        let (folder, name) = self.find_parent(path)?;
        self.lookup(folder, OsStr::new(name), Who::User)
    }

    /// The regular file at a path.
    pub(super) fn find_file(&self, path: &str) -> io::Result<Uid> {
        let uid = self.find(path)?;
        if self.inode(uid)?.is_folder() {
            return failure(io::ErrorKind::IsADirectory);
        }
        self.file(uid).map(|_| uid)
    }

    pub(super) fn find_or_create(&mut self, path: &str) -> io::Result<Uid> {
        match self.find_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (folder, name) = self.find_parent(path)?;
                self.make_file(folder, OsStr::new(name), 0o666, Who::User)
            }
            found => found,
        }
    }

    /// Makes or empties a file and writes it.
    pub(super) fn write_new(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let uid = self.find_or_create(path)?;
        self.set_len(uid, 0)?;
        self.write_at(uid, 0, bytes)
    }

    pub(super) fn rename_paths(&mut self, from: &str, to: &str, mode: RenameMode) -> io::Result<()> {
        let (from_folder, from_name) = self.find_parent(from)?;
        let (to_folder, to_name) = self.find_parent(to)?;
        let from = (from_folder, OsStr::new(from_name));
        self.rename(from, (to_folder, OsStr::new(to_name)), mode, Who::User)
    }
}
