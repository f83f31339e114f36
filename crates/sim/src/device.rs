//! One device: a disk, a memory, and the real daemon, one life after another.

mod faults;
mod run;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cairn_client::daemon::{Command, Daemon};
use cairn_client::profile::Profile;
use cairn_client::progress::{Progress, Route};
use cairn_client::state::ClientState;
use cairn_client::state::memory::MemoryState;
use cairn_client::status::Status;
use cairn_core::rev::Cursor;
use cairn_testkit::random::Random;
use tokio_util::sync::CancellationToken;

use crate::clock::SimClock;
use crate::disk::{DiskOptions, SimDisk, User};
use crate::network::Network;
use crate::server::Common;
use crate::spawner::{Fuse, Life};
use crate::watch::{SharedFaults, WatchFaults};
use faults::CallFaults;
pub use faults::{DiskFaults, Intruder};

/// The longest time after which a daemon that died is started again, unless told otherwise.
const RESTART_MS: u64 = 3_000;

/// Why a daemon ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Which device.
    pub device: usize,
    /// In which of its lives.
    pub life: u64,
    /// The error.
    pub error: String,
    /// Whether its disk had failed in that life, or was away: a daemon may end then, to be started again.
    pub is_excused: bool,
}

struct Running {
    life: Arc<Life>,
    daemon: Arc<OnceLock<Arc<Daemon>>>,
    stop: CancellationToken,
}

struct Inner {
    state: Arc<MemoryState>,
    running: Option<Running>,
    lives: u64,
    random: Random,
    /// Whether it is to be started again when it dies.
    is_wanted: bool,
    is_paused: bool,
    /// After what time, once.
    down: Option<Duration>,
    exits: Vec<Exit>,
    /// What the daemon of each life has counted.
    progress: Vec<Arc<Progress>>,
    has_hidden_write: bool,
}

/// A device of a world.
pub struct SimDevice {
    number: usize,
    name: String,
    common: Common,
    profile: Profile,
    disk: SimDisk,
    clock: Arc<SimClock>,
    network: Arc<Network>,
    watch_faults: SharedFaults,
    call_faults: Arc<CallFaults>,
    inner: Mutex<Inner>,
}

impl fmt::Debug for SimDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimDevice({})", self.number)
    }
}

impl SimDevice {
    /// A device with an empty disk that knows nothing and does not run.
    pub(crate) fn new(
        number: usize,
        profile: Profile,
        disk: DiskOptions,
        common: Common,
        network: Arc<Network>,
        mut random: Random,
    ) -> Arc<Self> {
        let clock = Arc::new(SimClock::new(random.below(2_000) as i64 - 1_000));
        let wall = Arc::clone(&clock);
        let disk = SimDisk::new(disk, Arc::new(move || i128::from(wall.now_ns())));
        let name = format!("device{number}");
        let call_faults = CallFaults::install(&disk, &name, Arc::clone(&common.trace), random.fork());
        Arc::new(Self {
            number,
            name,
            common,
            profile,
            disk,
            clock,
            network,
            watch_faults: SharedFaults::default(),
            call_faults,
            inner: Mutex::new(Inner {
                state: Arc::new(MemoryState::new()),
                running: None,
                lives: 0,
                random,
                is_wanted: false,
                is_paused: false,
                down: None,
                exits: Vec::new(),
                progress: Vec::new(),
                has_hidden_write: false,
            }),
        })
    }

    /// Its number in the world.
    pub const fn number(&self) -> usize {
        self.number
    }

    /// Its name in the trace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name in conflicted copies.
    pub fn device_name(&self) -> &str {
        &self.profile.device_name
    }

    /// Requests of one route in all its lives.
    pub fn requests_of(&self, route: Route) -> u64 {
        let inner = self.inner();
        inner.progress.iter().map(|life| life.requests_of(route)).sum()
    }

    /// Requests of one route in all its lives that were not made, since the server had sent the answer along.
    pub fn spared_of(&self, route: Route) -> u64 {
        let inner = self.inner();
        inner.progress.iter().map(|life| life.spared_of(route)).sum()
    }

    /// Its disk.
    pub const fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// What people and their programs do on its disk.
    pub fn user(&self) -> User {
        self.disk.user()
    }

    /// Its wall clock.
    pub const fn clock(&self) -> &Arc<SimClock> {
        &self.clock
    }

    /// Takes its volume away, see [`SimDisk::unmount`].
    pub fn unmount(&self) {
        self.call_faults.went_away();
        self.disk.unmount();
    }

    /// Moves its wall clock.
    pub fn jump_clock(&self, by_ms: i64) {
        self.common.trace.count("clock jump");
        self.common
            .trace
            .line(&self.name, format_args!("clock jumps by {by_ms} ms"));
        self.clock.jump_ms(by_ms);
    }

    /// Starts the daemon, when it does not run, and again whenever it dies by itself.
    pub fn start(self: &Arc<Self>) {
        run::start(self);
    }

    /// Asks the daemon to end, as a user does; it is not started again.
    pub fn stop(&self) {
        let mut inner = self.inner();
        inner.is_wanted = false;
        if let Some(running) = &inner.running {
            running.stop.cancel();
        }
    }

    /// Kills the daemon; it is not started again.
    pub fn kill(&self) {
        let mut inner = self.inner();
        inner.is_wanted = false;
        let running = inner.running.take();
        drop(inner);
        if let Some(running) = running {
            running.life.die("kill");
        }
    }

    /// Kills the daemon at the n-th poll of its tasks from now; it is started again after `down`.
    pub fn kill_after_polls(&self, polls: u64, down: Option<Duration>) {
        self.light(Fuse::Polls(polls), down);
    }

    /// Kills the daemon before or after one of the next transactions of its state; it is started again after `down`.
    pub fn kill_after_store_steps(&self, steps: u64, down: Option<Duration>) {
        self.light(Fuse::StoreSteps(steps), down);
    }

    /// Kills the daemon at the n-th call of its disk from now, which is not made; it is started again after `down`.
    pub fn kill_after_disk_calls(&self, calls: u64, down: Option<Duration>) {
        self.inner().down = down;
        self.call_faults.kill_after(calls);
    }

    fn light(&self, fuse: Fuse, down: Option<Duration>) {
        let mut inner = self.inner();
        inner.down = down;
        if let Some(running) = &inner.running {
            running.life.light(fuse);
        }
    }

    /// The machine loses power: the daemon dies, and of what was not synced to the disk a part that the seed decides.
    /// Starts again after `down`; not at all when there is none.
    pub fn power_loss(&self, down: Option<Duration>) {
        let mut inner = self.inner();
        inner.is_wanted = down.is_some();
        inner.down = down;
        let mut random = inner.random.fork();
        let life = inner.running.as_ref().map(|running| Arc::clone(&running.life));
        drop(inner);
        match life {
            Some(life) if !life.is_dead() => life.die("power loss"),
            _ => self.common.trace.count("power loss"),
        }
        let loss = self.disk.power_loss(&mut random);
        self.inner().has_hidden_write |= loss.hidden > 0;
        self.common
            .trace
            .line(&self.name, format_args!("loses power: {loss:?}"));
    }

    /// Whether a loss of power ever left a file with other bytes under the size and times that it had before.
    pub fn has_hidden_write(&self) -> bool {
        self.inner().has_hidden_write
    }

    /// A copy of what it remembers.
    pub fn copy_state(&self) -> Arc<MemoryState> {
        Arc::new(self.state().snapshot())
    }

    /// Kills the daemon and puts a copy in place of what it remembers. The caller starts it.
    pub fn restore_state(&self, copy: &MemoryState) {
        self.kill();
        self.common.trace.count("device state restored");
        self.common
            .trace
            .line(&self.name, format_args!("state is restored"));
        self.inner().state = Arc::new(copy.snapshot());
    }

    /// Kills the daemon and has it remember nothing. The caller starts it.
    pub fn forget_state(&self) {
        self.kill();
        self.common.trace.count("device state forgotten");
        self.common
            .trace
            .line(&self.name, format_args!("state is forgotten"));
        self.inner().state = Arc::new(MemoryState::new());
    }

    /// What it remembers, for checks.
    pub fn state(&self) -> Arc<MemoryState> {
        Arc::clone(&self.inner().state)
    }

    /// How far it has followed the journal.
    pub async fn cursor(&self) -> Option<Cursor> {
        self.state().cursor(self.profile.root).await.ok().flatten()
    }

    /// What the daemon says of itself; `None` while it does not run or is just starting.
    pub fn status(&self) -> Option<Status> {
        Some(self.daemon()?.status().borrow().clone())
    }

    /// Whether the daemon runs.
    pub fn is_running(&self) -> bool {
        let inner = self.inner();
        inner
            .running
            .as_ref()
            .is_some_and(|running| !running.life.is_dead())
    }

    /// Its current or last life.
    pub fn life(&self) -> Option<Arc<Life>> {
        let inner = self.inner();
        inner.running.as_ref().map(|running| Arc::clone(&running.life))
    }

    /// How many lives it had.
    pub fn lives(&self) -> u64 {
        self.inner().lives
    }

    /// Errors with which its daemons ended.
    pub fn exits(&self) -> Vec<Exit> {
        self.inner().exits.clone()
    }

    /// Pauses syncing, in later lives too.
    pub fn pause(&self) {
        self.inner().is_paused = true;
        self.command(Command::Pause);
    }

    /// Goes on.
    pub fn resume(&self) {
        self.inner().is_paused = false;
        self.command(Command::Resume);
    }

    /// Says that a held mass deletion is meant.
    pub fn release_deletes(&self) {
        self.command(Command::ReleaseDeletes);
    }

    /// Has everything looked at.
    pub fn sync_now(&self) {
        self.command(Command::SyncNow);
    }

    fn command(&self, command: Command) {
        self.common.trace.line(&self.name, format_args!("{command:?}"));
        if let Some(daemon) = self.daemon() {
            daemon.command(command);
        }
    }

    /// Changes how its system tells what changed.
    pub fn set_watch_faults(&self, faults: WatchFaults) {
        *self.watch_faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Changes how its disk fails.
    pub fn set_disk_faults(&self, faults: DiskFaults) {
        self.call_faults.set(faults);
    }

    /// The daemon's calls fail with an error of the device: after so many that succeed, so many.
    pub fn fail_disk_calls(&self, after: u64, count: u64) {
        self.call_faults.fail_calls(after, count);
    }

    /// The next sync of the daemon fails, and what it should have written is lost with the power.
    pub fn fail_next_sync(&self) {
        self.call_faults.fail_next_sync();
    }

    /// Has somebody act between the daemon's calls of its disk: before each call, with no lock held.
    pub fn set_intruder(&self, intruder: Option<Intruder>) {
        self.call_faults.set_intruder(intruder);
    }

    /// Takes all faults and fuses away, those of the network left alone.
    pub fn heal(&self) {
        self.set_watch_faults(WatchFaults::default());
        self.call_faults.heal();
        self.disk.set_read_only(false);
        self.disk.set_capacity(None);
        self.disk.mount();
        if let Some(running) = &self.inner().running {
            running.life.defuse();
        }
    }

    fn daemon(&self) -> Option<Arc<Daemon>> {
        let inner = self.inner();
        let running = inner.running.as_ref().filter(|running| !running.life.is_dead())?;
        running.daemon.get().map(Arc::clone)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
