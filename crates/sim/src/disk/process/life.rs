//! Whether a process lives.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Fuse {
    left: u64,
    on_death: Box<dyn FnOnce() + Send>,
}

pub(super) struct Life {
    pub(super) number: u64,
    pub(super) boot: u64,
    is_dead: AtomicBool,
    calls: AtomicU64,
    fuse: Mutex<Option<Fuse>>,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life")
            .field("number", &self.number)
            .field("boot", &self.boot)
            .field("is_dead", &self.is_dead())
            .finish_non_exhaustive()
    }
}

impl Life {
    pub(super) fn new(number: u64, boot: u64) -> Self {
        Self {
            number,
            boot,
            is_dead: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            fuse: Mutex::new(None),
        }
    }

    fn fuse(&self) -> MutexGuard<'_, Option<Fuse>> {
        self.fuse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn kill(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    pub(super) fn call_count(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    pub(super) fn set_fuse(&self, calls: u64, on_death: Box<dyn FnOnce() + Send>) {
        *self.fuse() = Some(Fuse {
            left: calls.max(1),
            on_death,
        });
    }

    pub(super) fn clear_fuse(&self) -> bool {
        self.fuse().take().is_some()
    }

    /// Counts a call and returns its number; `None` when the process is dead or dies of it.
    pub(super) fn count_call(&self) -> Option<u64> {
        if self.is_dead() {
            return None;
        }
        let burnt = {
            let mut fuse = self.fuse();
            match &mut *fuse {
                Some(burning) if burning.left > 1 => {
                    burning.left -= 1;
                    None
                }
                _ => fuse.take(),
            }
        };
        if let Some(fuse) = burnt {
            self.kill();
            (fuse.on_death)();
            return None;
        }
        Some(self.calls.fetch_add(1, Ordering::SeqCst) + 1)
    }
}
