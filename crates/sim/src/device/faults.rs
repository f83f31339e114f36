//! What happens between a daemon and its disk.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cairn_testkit::random::Random;

use crate::disk::{Call, CallKind, Injection, SimDisk};
use crate::spawner::Life;
use crate::trace::Trace;

/// Acts before a call of the disk.
pub type Intruder = Box<dyn FnMut(&Call) + Send>;

/// How often calls of a disk fail, in a thousand each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskFaults {
    /// Reads that fail.
    pub read_errors: u64,
    /// Changes that fail and are not made.
    pub change_errors: u64,
    /// Changes that fail and are made all the same; syncs that lose what they should have written.
    pub late_errors: u64,
    /// Changes for which there is no room.
    pub full: u64,
    /// Writes of which only half is done.
    pub short_writes: u64,
}

#[derive(Default)]
struct Faults {
    rates: DiskFaults,
    /// Calls until the process dies.
    fuse: Option<u64>,
    /// Calls that succeed and then fail.
    burst: Option<(u64, u64)>,
    must_fail_sync: bool,
    intruder: Option<Intruder>,
    life: Option<Arc<Life>>,
    /// Whether a call failed in the current life.
    has_failed: bool,
    /// Whether the volume was away at some time of the current life.
    was_away: bool,
}

/// The faults of one device's disk.
pub(super) struct CallFaults {
    faults: Mutex<Faults>,
    random: Mutex<Random>,
    name: String,
    trace: Arc<Trace>,
}

impl fmt::Debug for CallFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFaults").finish_non_exhaustive()
    }
}

impl CallFaults {
    /// Has each call of a disk pass here.
    pub(super) fn install(disk: &SimDisk, name: &str, trace: Arc<Trace>, random: Random) -> Arc<Self> {
        let this = Arc::new(Self {
            faults: Mutex::default(),
            random: Mutex::new(random),
            name: name.to_owned(),
            trace,
        });
        let hook = Arc::clone(&this);
        disk.set_hook(Box::new(move |call| hook.pass(call)));
        this
    }

    /// Calls belong to this life from now on.
    pub(super) fn begin(&self, life: Arc<Life>, is_away: bool) {
        let mut faults = self.lock();
        faults.life = Some(life);
        faults.has_failed = false;
        faults.was_away = is_away;
    }

    pub(super) fn went_away(&self) {
        self.lock().was_away = true;
    }

    pub(super) fn was_away(&self) -> bool {
        self.lock().was_away
    }

    pub(super) fn has_failed(&self) -> bool {
        self.lock().has_failed
    }

    pub(super) fn set(&self, rates: DiskFaults) {
        self.lock().rates = rates;
    }

    pub(super) fn kill_after(&self, calls: u64) {
        self.lock().fuse = Some(calls.max(1));
    }

    pub(super) fn fail_calls(&self, after: u64, count: u64) {
        self.lock().burst = Some((after, count));
    }

    pub(super) fn fail_next_sync(&self) {
        self.lock().must_fail_sync = true;
    }

    pub(super) fn set_intruder(&self, intruder: Option<Intruder>) {
        self.lock().intruder = intruder;
    }

    /// Takes everything away but the intruder.
    pub(super) fn heal(&self) {
        let mut faults = self.lock();
        faults.rates = DiskFaults::default();
        faults.fuse = None;
        faults.burst = None;
        faults.must_fail_sync = false;
    }

    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, call: &Call) -> Injection {
        if self.lock().life.as_ref().is_none_or(|life| life.is_dead()) {
            return Injection::Fail(io::ErrorKind::Other);
        }
        let path = call.path.as_ref().map(ToString::to_string).unwrap_or_default();
        let new_path = call
            .new_path
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let line = format_args!("disk: {:?} {path} {new_path}", call.kind);
        if call.kind.is_change() {
            self.trace.line(&self.name, line);
        } else {
            self.trace.detail(&self.name, line);
        }
        self.intrude(call);
        let (injection, life) = self.decide(call.kind);
        if let Some(life) = life {
            life.die("crash by disk call");
            return Injection::Fail(io::ErrorKind::Other);
        }
        if injection != Injection::Proceed {
            self.trace
                .line(&self.name, format_args!("disk: {injection:?} of {:?}", call.kind));
            self.lock().has_failed = true;
        }
        injection
    }

    /// Somebody else may act; no lock is held.
    fn intrude(&self, call: &Call) {
        let Some(mut intruder) = self.lock().intruder.take() else {
            return;
        };
        intruder(call);
        self.lock().intruder.get_or_insert(intruder);
    }

    fn decide(&self, kind: CallKind) -> (Injection, Option<Arc<Life>>) {
        let mut faults = self.lock();
        if let Some(left) = &mut faults.fuse {
            *left -= 1;
            if *left == 0 {
                faults.fuse = None;
                return (Injection::Proceed, faults.life.clone());
            }
        }
        if kind.is_sync() && std::mem::take(&mut faults.must_fail_sync) {
            self.trace.count("sync error");
            return (Injection::FailAfter(io::ErrorKind::Other), None);
        }
        match &mut faults.burst {
            Some((0, 0)) => faults.burst = None,
            Some((0, count)) => {
                *count -= 1;
                self.trace.count("EIO");
                return (Injection::Fail(io::ErrorKind::Other), None);
            }
            Some((after, _)) => *after -= 1,
            None => {}
        }
        (self.by_chance(kind, faults.rates), None)
    }

    fn by_chance(&self, kind: CallKind, rates: DiskFaults) -> Injection {
        if rates == DiskFaults::default() {
            return Injection::Proceed;
        }
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hits = |per_mille: u64| random.below(1_000) < per_mille;
        let (read, change, late) = (
            hits(rates.read_errors),
            hits(rates.change_errors),
            hits(rates.late_errors),
        );
        let (full, short) = (hits(rates.full), hits(rates.short_writes));
        let (what, injection) = match kind {
            _ if !kind.is_change() && read => ("EIO", Injection::Fail(io::ErrorKind::Other)),
            _ if !kind.is_change() => return Injection::Proceed,
            _ if change => ("EIO", Injection::Fail(io::ErrorKind::Other)),
            _ if late && kind.is_sync() => ("sync error", Injection::FailAfter(io::ErrorKind::Other)),
            _ if late => ("EIO late", Injection::FailAfter(io::ErrorKind::Other)),
            _ if full && !kind.is_sync() => ("ENOSPC", Injection::Fail(io::ErrorKind::StorageFull)),
            CallKind::WriteAt if short => ("short write", Injection::ShortWrite),
            _ => return Injection::Proceed,
        };
        self.trace.count(what);
        injection
    }
}
