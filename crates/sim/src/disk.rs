//! The disk of a simulated machine: a page cache against a durable state, and every way in which a disk fails.
//!
//! What processes see is the cache. What a loss of power leaves is what was synced, and of the rest a part that a seed
//! decides: see [`SimDisk::power_loss`]. Programs of ours use a disk through [`ProcessDisk`], which can be made to fail
//! and to die; people and their programs through [`User`], which cannot.

mod content;
mod digest;
mod events;
mod hook;
mod inode;
mod journal;
mod moves;
mod names;
mod paths;
mod power;
mod process;
mod state;
mod user;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cairn_testkit::random::Random;

pub use events::{Change, Events};
pub use hook::{Call, CallKind, Hook, Injection};
pub use power::{FileLoss, PowerLoss};
pub use process::{ProcessDisk, SimFile, SimFolder};
pub use user::{User, UserEntry, UserFile, UserStat};

use state::State;

/// What survives of folder operations that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataOrder {
    /// One journal for the whole disk, of which a prefix survives; any sync writes all of it. ext4, XFS, btrfs, APFS.
    Prefix,
    /// Each operation survives or not. A rename within a folder is one operation; one between two folders is two, of
    /// which the new name comes first unless the old folder alone is synced. ext2, FAT, and what POSIX promises.
    ///
    /// What people do is never torn: their programs do not lose a file by moving it. Folders are moved whole too,
    /// because a check of the disk would not leave one with two names.
    Any,
}

/// What kind of disk it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskOptions {
    /// Whether names that differ only in case are one; as typed first they are kept.
    pub case_folding: bool,
    /// Whether names are kept decomposed, however they were typed.
    pub normalises_nfd: bool,
    /// Timestamps are rounded down to this many nanoseconds, at least 1.
    pub timestamp_step_ns: u64,
    /// Whether exec bits are kept; where not, everything is executable.
    pub keeps_exec_bit: bool,
    /// Whether two names can be swapped.
    pub has_exchange: bool,
    /// Whether a rename can refuse to replace.
    pub has_keep_existing: bool,
    /// Whether there are hard links.
    pub has_links: bool,
    /// Whether the number of a removed file is given to the next one.
    pub reuses_inodes: bool,
    /// Whether files say when they were made.
    pub has_birth_time: bool,
    /// What survives of folder operations.
    pub metadata_order: MetadataOrder,
    /// Whether a file may have its new times although its new bytes were lost. Then nothing but reading tells.
    pub times_outlive_bytes: bool,
    /// How many bytes fit, if not any number. A file takes whole blocks of 4,096 bytes, a folder one.
    pub capacity: Option<u64>,
}

/// Like ext4.
impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            case_folding: false,
            normalises_nfd: false,
            timestamp_step_ns: 1,
            keeps_exec_bit: true,
            has_exchange: true,
            has_keep_existing: true,
            has_links: true,
            reuses_inodes: true,
            has_birth_time: true,
            metadata_order: MetadataOrder::Prefix,
            times_outlive_bytes: false,
            capacity: None,
        }
    }
}

/// Says the wall clock's time in nanoseconds since the Unix epoch; it may jump.
pub type WallClock = Arc<dyn Fn() -> i128 + Send + Sync>;

struct Machine {
    state: Mutex<State>,
    hook: Mutex<Option<Hook>>,
    clock: WallClock,
}

/// The disk of one machine, mounted where a synced root is. A clone is the same disk.
///
/// The same calls with the same seeds leave the same disk: see [`Self::content_digest`].
#[derive(Clone)]
pub struct SimDisk {
    machine: Arc<Machine>,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new(options: DiskOptions, clock: WallClock) -> Self {
        let now_ns = clock();
        Self {
            machine: Arc::new(Machine {
                state: Mutex::new(State::new(options, now_ns)),
                hook: Mutex::new(None),
                clock,
            }),
        }
    }

    /// What kind of disk it is.
    pub fn options(&self) -> DiskOptions {
        self.lock().options.clone()
    }

    /// The calls of a new process.
    pub fn process(&self) -> ProcessDisk {
        let mut state = self.lock();
        state.process_count += 1;
        let number = state.process_count;
        let boot = state.boot;
        drop(state);
        ProcessDisk::new(self.clone(), number, boot)
    }

    /// What people and their programs do.
    pub fn user(&self) -> User {
        User::new(self.clone())
    }

    /// Has `hook` asked before each call of any process. It may use [`User`] on this disk.
    pub fn set_hook(&self, hook: Hook) {
        *self.hook() = Some(hook);
    }

    /// Lets all calls proceed.
    pub fn clear_hook(&self) {
        *self.hook() = None;
    }

    /// Reports from now on in which folders something changes, at most `capacity` of them at a time.
    pub fn events(&self, capacity: usize) -> Events {
        self.lock().watchers.subscribe(capacity)
    }

    /// Loses power: all processes and handles are dead, and of what was not synced `random` decides what is left.
    pub fn power_loss(&self, random: &mut Random) -> PowerLoss {
        self.lock().power_loss(random)
    }

    /// Writes everything and takes the volume away: the root's path then shows an empty folder of another device, and
    /// handles of this volume fail. Nothing happens when it is away.
    pub fn unmount(&self) {
        self.lock().unmount();
    }

    /// Puts the volume back, under another device number. Nothing happens when it is there.
    pub fn mount(&self) {
        self.lock().mount();
    }

    /// Whether the volume is there.
    pub fn is_mounted(&self) -> bool {
        self.lock().is_mounted
    }

    /// Puts an empty folder in the place of the root and all in it, durably.
    pub fn replace_root(&self) {
        self.lock().replace_root();
    }

    /// Whether changes fail with [`io::ErrorKind::ReadOnlyFilesystem`], everybody's.
    pub fn set_read_only(&self, read_only: bool) {
        self.lock().is_read_only = read_only;
    }

    /// Changes how many bytes fit; what is there stays.
    pub fn set_capacity(&self, capacity: Option<u64>) {
        self.lock().options.capacity = capacity;
    }

    /// How many bytes are taken, in whole blocks.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes
    }

    /// Has processes refused what is at `path`: a file cannot be opened, in a folder nothing can be found or listed.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when nothing is there.
    pub fn set_denied(&self, path: &str, denied: bool) -> io::Result<()> {
        let mut state = self.lock();
        let uid = state.find(path)?;
        state.inode_mut(uid)?.is_denied = denied;
        Ok(())
    }

    /// A hash of everything that processes can see: names, kinds, bytes, times, permissions, inode numbers.
    pub fn content_digest(&self) -> blake3::Hash {
        self.lock().content_digest()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Asked first: a clock may have a lock of its own.
        let now_ns = (self.machine.clock)();
        let mut state = self.machine.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now_ns = now_ns;
        state
    }

    fn hook(&self) -> MutexGuard<'_, Option<Hook>> {
        self.machine.hook.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the hook, which is out of its place meanwhile: it may use this disk.
    fn ask_hook(&self, call: impl FnOnce() -> Call) -> Injection {
        let Some(mut hook) = self.hook().take() else {
            return Injection::Proceed;
        };
        let injection = hook(&call());
        self.hook().get_or_insert(hook);
        injection
    }
}
