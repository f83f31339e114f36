//! All of it: some devices, a server, the network between them.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cairn_client::engine::NODES_AT_ONCE;
use cairn_client::status::Activity;
use cairn_metadata::MetadataError;
use cairn_testkit::random::Random;
use tokio::time::Instant;

use crate::device::{Exit, SimDevice};
use crate::disk::DiskOptions;
use crate::network::{Network, NetworkFaults};
use crate::server::{Common, SimServer};
use crate::spawner::{Budget, Schedule};
use crate::trace::{Counts, Trace};

/// How often it is looked whether all is quiet.
const LOOK_EVERY: Duration = Duration::from_millis(1_000);
/// How often in a row it must be: longer than files wait that may have changed within a tick of the clock.
const LOOKS: u32 = 4;
/// Polls of one run, unless told otherwise.
const POLLS: u64 = 2_000_000;

/// Runs a simulation on this thread, in virtual time that stands still while anything can run.
///
/// # Panics
/// When the system gives no runtime.
pub fn simulate<T>(simulation: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets and threads needs nothing of the system")
        .block_on(simulation)
}

/// What a world is like.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// Decides everything that is left open.
    pub seed: u64,
    /// The disks of the devices, one each.
    pub devices: Vec<DiskOptions>,
    /// How many nodes they plan at once.
    pub nodes_at_once: usize,
    /// How the network fails, for each device.
    pub network: NetworkFaults,
    /// How much of the order of tasks is left to chance.
    pub schedule: Schedule,
    /// Polls after which nothing runs any more.
    pub polls: u64,
    /// Whether every line of the trace is kept.
    pub keeps_trace: bool,
}

impl WorldOptions {
    /// A world of so many usual devices on a good line.
    pub fn new(seed: u64, devices: usize) -> Self {
        Self {
            seed,
            devices: vec![DiskOptions::default(); devices],
            nodes_at_once: NODES_AT_ONCE,
            network: NetworkFaults::NONE,
            schedule: Schedule::default(),
            polls: POLLS,
            keeps_trace: false,
        }
    }
}

/// When a device was told to look at everything.
#[derive(Debug, Clone, Copy)]
struct Nudged {
    life: u64,
    full_passes: u64,
    /// The passes of that life when it was told last.
    passes: u64,
}

/// A world did not come to rest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NotQuiet {
    /// Whether it went round in circles until the budget of polls was spent, rather than waited.
    pub is_livelock: bool,
    /// What each device, then the server, is at.
    pub why: Vec<String>,
}

impl fmt::Display for NotQuiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_livelock {
            "goes round in circles"
        } else {
            "does not come to rest"
        };
        write!(f, "the world {word}: {}", self.why.join("; "))
    }
}

/// Some devices, a server, the network between them.
#[derive(Debug)]
pub struct World {
    common: Common,
    network: Arc<Network>,
    server: Arc<SimServer>,
    devices: Vec<Arc<SimDevice>>,
}

impl World {
    /// Makes a world in which nothing runs yet. To be called within [`simulate`].
    ///
    /// # Errors
    /// Those of a metadata store in memory, which does not have any here.
    pub async fn new(options: WorldOptions) -> Result<Self, MetadataError> {
        let mut random = Random::new(options.seed);
        let common = Common {
            seed: options.seed,
            schedule: options.schedule,
            budget: Budget::new(options.polls),
            trace: Trace::begin(options.keeps_trace),
            nodes_at_once: options.nodes_at_once,
        };
        let count = options.devices.len();
        let life = common.life("network", 1, &mut random);
        let network = Network::new(count, options.network, random.fork(), life);
        let server = SimServer::new(common.clone(), count, Arc::clone(&network), random.fork()).await?;
        let devices = options.devices.into_iter().zip(server.profiles()).enumerate();
        let devices = devices
            .map(|(number, (disk, profile))| {
                SimDevice::new(
                    number,
                    profile.clone(),
                    disk,
                    common.clone(),
                    Arc::clone(&network),
                    random.fork(),
                )
            })
            .collect();
        Ok(Self {
            common,
            network,
            server: Arc::new(server),
            devices,
        })
    }

    /// Starts the server and all devices.
    pub fn start(&self) {
        self.server.start();
        self.devices.iter().for_each(SimDevice::start);
    }

    /// The server.
    pub const fn server(&self) -> &Arc<SimServer> {
        &self.server
    }

    /// The devices.
    pub fn devices(&self) -> &[Arc<SimDevice>] {
        &self.devices
    }

    /// A device.
    ///
    /// # Panics
    /// When there is none of that number.
    pub fn device(&self, number: usize) -> &Arc<SimDevice> {
        self.devices
            .get(number)
            .expect("the caller knows how many devices it asked for")
    }

    /// The seed that decides everything.
    pub const fn seed(&self) -> u64 {
        self.common.seed
    }

    /// The network.
    pub const fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// What happened.
    pub const fn trace(&self) -> &Arc<Trace> {
        &self.common.trace
    }

    /// A hash of all that happened: the same for the same options and the same calls.
    pub fn trace_hash(&self) -> blake3::Hash {
        self.common.trace.hash()
    }

    /// The faults that were really made.
    pub fn counts(&self) -> Counts {
        self.common.trace.counts()
    }

    /// Daemons that ended by themselves without an excuse: none should.
    pub fn failures(&self) -> Vec<Exit> {
        let exits = self.devices.iter().flat_map(|device| device.exits());
        exits.filter(|exit| !exit.is_excused).collect()
    }

    /// What is left of the budget of polls.
    pub fn polls_left(&self) -> u64 {
        self.common.budget.left()
    }

    /// Lets virtual time pass.
    pub async fn run_for(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Takes all faults away, starts everything, has each device look at everything, and waits in virtual time until all
    /// devices say that they are in sync, are where the server is, and the server has nothing left to do.
    ///
    /// # Errors
    /// [`NotQuiet`] when that is not so within `limit`, or the budget of polls is spent.
    pub async fn quiesce(&self, limit: Duration) -> Result<(), NotQuiet> {
        let end = Instant::now() + limit;
        self.common
            .trace
            .line("world", format_args!("is to come to rest"));
        self.network.heal();
        self.devices.iter().for_each(|device| device.heal());
        self.start();
        let mut quiet = 0;
        // A device that was paused or not told of changes looks at everything once.
        let mut nudged = vec![None; self.devices.len()];
        loop {
            if self.common.budget.is_spent() {
                return Err(self.not_quiet(true).await);
            }
            let is_quiet = self.look(&mut nudged).await;
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet == LOOKS {
                self.common.trace.line("world", format_args!("rests"));
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(self.not_quiet(false).await);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether all is quiet. `nudged` has for each device when it was told to look.
    async fn look(&self, nudged: &mut [Option<Nudged>]) -> bool {
        self.server.start();
        let head = self.server.cursor().await;
        let mut is_quiet = self.server.is_idle().await;
        for (device, nudged) in self.devices.iter().zip(nudged) {
            let Some(status) = device.status() else {
                is_quiet = false;
                continue;
            };
            let life = device.lives();
            match nudged {
                Some(nudged) if nudged.life == life => {
                    let has_looked = status.full_passes > nudged.full_passes;
                    is_quiet &= has_looked;
                    // As `cairn wait` does: the pass that was asked for may have ended early, and the one that came after
                    // it need not look at everything.
                    if !has_looked && status.activity == Activity::Idle && status.passes != nudged.passes {
                        nudged.passes = status.passes;
                        device.sync_now();
                    }
                }
                _ => {
                    *nudged = Some(Nudged {
                        life,
                        full_passes: status.full_passes,
                        passes: status.passes,
                    });
                    device.resume();
                    device.sync_now();
                    is_quiet = false;
                }
            }
            is_quiet &= status.in_sync && device.cursor().await == head;
        }
        is_quiet
    }

    async fn not_quiet(&self, is_livelock: bool) -> NotQuiet {
        let mut why = Vec::new();
        for device in &self.devices {
            let status = device.status();
            let cursor = device.cursor().await.map(|cursor| cursor.seq);
            why.push(format!("{} at {cursor:?}: {status:?}", device.name()));
        }
        let head = self.server.cursor().await.map(|cursor| cursor.seq);
        let is_idle = self.server.is_idle().await;
        why.push(format!("server at {head:?}, idle: {is_idle}"));
        NotQuiet { is_livelock, why }
    }
}
