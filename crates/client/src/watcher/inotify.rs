//! The system's watches: one for each folder, and the thread that hears what they say.
//!
//! A watch is of the folder, not of its path. A folder that was moved is told of by the path at which it was watched last, until it
//! is watched at its new one. So a watch ends only with its folder, or when the folder has left the tree: one that ended because
//! of the path it once had could be that of another folder by then, which nothing would be heard of any more.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, iter, thread};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::{Shared, WatchTrouble};
use crate::fs::{DiskPath, OWN_FOLDER};

/// What is heard of each folder. Not who reads it, which is most of what happens.
const HEARD: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MODIFY)
    // Files that are written through a mapping are told by their closing alone.
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::ONLYDIR);
/// Bytes of what is read at once: a hundred events and more.
const READ_BYTES: usize = 16 * 1024;

/// A folder that is watched.
#[derive(Debug)]
struct Watched {
    /// Where it was when it was watched last.
    folder: DiskPath,
    /// Whether it was said to have moved since: perhaps before.
    has_moved: bool,
}

/// Watches of folders. The thread ends when it is dropped.
pub(super) struct Inotify {
    listener: Arc<Listener>,
}

/// What the thread has.
struct Listener {
    root: PathBuf,
    inotify: OwnedFd,
    /// Readable when the thread is to end.
    stop: OwnedFd,
    /// All folders that are watched, by the system's number for each.
    table: Mutex<HashMap<i32, Watched>>,
    shared: Arc<Shared>,
}

impl Inotify {
    /// Begins to hear what happens below `root`.
    ///
    /// # Errors
    /// When the system has no more of what this needs, such as instances of inotify.
    pub(super) fn start(root: PathBuf, shared: Arc<Shared>) -> io::Result<Self> {
        let listener = Arc::new(Listener::new(root, shared)?);
        let thread = Arc::clone(&listener);
        thread::Builder::new()
            .name("watcher".to_owned())
            .spawn(move || thread.listen())?;
        Ok(Self { listener })
    }

    /// Watches a folder. What happens in it from now on is told.
    ///
    /// # Errors
    /// Those of the system: there is no folder, or it cannot be watched.
    pub(super) fn watch(&self, folder: &DiskPath) -> Result<(), Errno> {
        self.listener.watch(folder).map(drop)
    }

    /// Whether what is at the root's place is the folder that is watched as such. Watches it, if it is another.
    ///
    /// # Errors
    /// Those of the system: there is no folder, or it cannot be watched.
    pub(super) fn is_root_watched(&self) -> Result<bool, Errno> {
        self.listener.is_root_watched()
    }

    /// Ends all watches. What they have said and nobody has read is not told.
    pub(super) fn forget_all(&self) {
        for (watch, _) in self.listener.table().drain() {
            // Fails for a folder that was deleted: its watch has ended by itself.
            inotify::remove_watch(&self.listener.inotify, watch).ok();
        }
    }

    /// Ends the watches of folders that were moved away, and of what was in them. One that is in the tree, or comes back, is told of
    /// where it is then, and watched there.
    pub(super) fn let_go(&self) {
        self.listener.let_go();
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        // Fails only when the counter is full, and then the thread is awake.
        rustix::io::write(&self.listener.stop, &1_u64.to_ne_bytes()).ok();
    }
}

impl Listener {
    fn new(root: PathBuf, shared: Arc<Shared>) -> io::Result<Self> {
        Ok(Self {
            root,
            inotify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            stop: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            table: Mutex::default(),
            shared,
        })
    }

    fn table(&self) -> MutexGuard<'_, HashMap<i32, Watched>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches what is at a path now; returns the system's number for it.
    fn watch(&self, folder: &DiskPath) -> Result<i32, Errno> {
        // Under the lock, so that what is heard at once finds whom it is of.
        self.watch_in(&mut self.table(), folder)
    }

    fn watch_in(&self, table: &mut HashMap<i32, Watched>, folder: &DiskPath) -> Result<i32, Errno> {
        let flags = if folder.names().is_empty() {
            HEARD
        } else {
            HEARD | WatchFlags::DONT_FOLLOW
        };
        let watch = inotify::add_watch(&self.inotify, path_below(&self.root, folder), flags)?;
        let watched = Watched {
            folder: folder.clone(),
            has_moved: false,
        };
        table.insert(watch, watched);
        Ok(watch)
    }

    /// The system has one watch for each folder, and gives its number again: two numbers are two folders.
    fn is_root_watched(&self) -> Result<bool, Errno> {
        let mut table = self.table();
        let is_root = |watched: &Watched| watched.folder.names().is_empty();
        let known: Vec<i32> = table
            .iter()
            .filter_map(|(watch, watched)| is_root(watched).then_some(*watch))
            .collect();
        let now = self.watch_in(&mut table, &DiskPath::root())?;
        Ok(known.contains(&now))
    }

    fn let_go(&self) {
        let mut table = self.table();
        let moved: HashSet<&DiskPath> = table
            .values()
            .filter(|watched| watched.has_moved)
            .map(|watched| &watched.folder)
            .collect();
        if moved.is_empty() {
            return;
        }
        let is_doubtful = |folder: &DiskPath| {
            let above = iter::successors(Some(folder.clone()), DiskPath::parent);
            above.into_iter().any(|folder| moved.contains(&folder))
        };
        let doubtful: Vec<(i32, DiskPath)> = table
            .iter()
            .filter(|(_, watched)| is_doubtful(&watched.folder))
            .map(|(watch, watched)| (*watch, watched.folder.clone()))
            .collect();
        for (watch, folder) in doubtful {
            // It may have been found where it was moved to before its leaving was heard of: then it is there.
            let is_there = self.watch_in(&mut table, &folder) == Ok(watch);
            let is_elsewhere = table.get(&watch).is_some_and(|watched| watched.folder != folder);
            if !is_there && !is_elsewhere {
                table.remove(&watch);
                // Fails for a folder that was deleted: its watch has ended by itself.
                inotify::remove_watch(&self.inotify, watch).ok();
            }
        }
    }

    /// Hears until it is told to stop.
    fn listen(&self) {
        let mut buffer = vec![MaybeUninit::uninit(); READ_BYTES];
        loop {
            let mut waited = [
                PollFd::new(&self.inotify, PollFlags::IN),
                PollFd::new(&self.stop, PollFlags::IN),
            ];
            match poll(&mut waited, None) {
                Ok(_) if !waited[1].revents().is_empty() => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return self.fail(error),
            }
            match self.read_all(&mut buffer) {
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Reads what there is, until there is no more, which is an error too.
    fn read_all(&self, buffer: &mut [MaybeUninit<u8>]) -> Result<Infallible, Errno> {
        let mut reader = Reader::new(&self.inotify, buffer);
        loop {
            let event = reader.next()?;
            let name = event.file_name().map(|name| name.to_str().ok());
            self.note(event.wd(), event.events(), name);
            if reader.is_buffer_empty() {
                self.shared.tell();
            }
        }
    }

    /// Nothing will be heard any more.
    fn fail(&self, error: Errno) {
        let reason = io::Error::from(error).to_string();
        let mut pending = self.shared.pending();
        pending.trouble = Some(WatchTrouble::Refused {
            path: self.root.display().to_string(),
            reason,
        });
        pending.add_everything();
        drop(pending);
        self.shared.tell();
    }

    /// Notes what was heard. `name` is that of what it happened to in the folder, and `None` in it where it is no text; without it
    /// it happened to the folder itself.
    fn note(&self, watch: i32, heard: ReadFlags, name: Option<Option<&str>>) {
        if heard.contains(ReadFlags::QUEUE_OVERFLOW) {
            let mut pending = self.shared.pending();
            // Folders may have appeared unseen.
            pending.add_unwatched(DiskPath::root());
            pending.add_everything();
            return;
        }
        let mut table = self.table();
        let Some(watched) = table.get_mut(&watch) else {
            return;
        };
        let folder = watched.folder.clone();
        let is_root = folder.names().is_empty();
        let Some(name) = name else {
            let has_moved = heard.contains(ReadFlags::MOVE_SELF) && !is_root;
            watched.has_moved |= has_moved;
            if heard.contains(ReadFlags::IGNORED) {
                table.remove(&watch);
            }
            drop(table);
            self.shared.pending().has_moved |= has_moved;
            if is_root {
                self.note_root(heard);
            }
            return;
        };
        drop(table);
        if is_root && name == Some(OWN_FOLDER) {
            return;
        }
        let mut pending = self.shared.pending();
        if let Some(name) = name
            && heard.contains(ReadFlags::ISDIR)
        {
            if heard.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                pending.add_unwatched(folder.join(name));
            } else if heard.contains(ReadFlags::ATTRIB) {
                // One that became readable is to be looked at itself.
                pending.add(folder.join(name));
            }
        }
        pending.add(folder);
    }

    /// Notes what happened to the root itself.
    fn note_root(&self, heard: ReadFlags) {
        let mut pending = self.shared.pending();
        if heard.contains(ReadFlags::ATTRIB) {
            pending.add(DiskPath::root());
        } else {
            // It is gone, or another one. Its watches say nothing of what has its place by then.
            pending.is_root_gone = true;
            pending.add_everything();
        }
    }
}

/// Where a folder below a root is.
pub(super) fn path_below(root: &Path, folder: &DiskPath) -> PathBuf {
    let names = folder.names().iter();
    names.fold(root.to_owned(), |path, name| path.join(name))
}

#[cfg(test)]
mod tests;
