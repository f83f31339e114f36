//! The real server over stores in memory: it can die at any await, be restored from a backup, or be another one.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cairn_chunks::MemoryChunks;
use cairn_client::profile::{Profile, Token};
use cairn_core::ids::{AccountId, DeviceId, Incarnation, NamespaceId};
use cairn_core::rev::Cursor;
use cairn_core::runtime::{Clock, Entropy, Runtime};
use cairn_metadata::{
    AccessToken, Account, Device, Email, LinkKind, MemoryMetadata, MetadataError, MetadataStore, Scopes,
    TokenHash,
};
use cairn_server::{Server, ServerConfig};
use cairn_testkit::random::Random;
use sha2::{Digest, Sha256};

use crate::clock::{SimClock, SimEntropy};
use crate::gates::Gated;
use crate::network::{Listener, Network};
use crate::spawner::{Budget, Fuse, Life, Schedule, SimSpawner};
use crate::trace::Trace;

/// The address that messages name.
const ADDRESS: &str = "https://server.example";
const EMAIL: &str = "someone@example.org";

/// What everything in one world shares.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) seed: u64,
    pub(crate) schedule: Schedule,
    pub(crate) budget: Arc<Budget>,
    pub(crate) trace: Arc<Trace>,
    pub(crate) nodes_at_once: usize,
}

impl Common {
    /// Begins a life of a machine.
    pub(crate) fn life(&self, name: &str, number: u64, random: &mut Random) -> Arc<Life> {
        Life::begin(
            name,
            number,
            random.fork(),
            self.schedule,
            Arc::clone(&self.budget),
            Arc::clone(&self.trace),
        )
    }
}

/// A copy of everything that a server keeps.
#[derive(Debug, Clone)]
pub struct Backup {
    metadata: Arc<MemoryMetadata>,
    chunks: Arc<MemoryChunks>,
}

/// The account of a world and its devices, as every one of its servers knows them.
struct Setup {
    account: Account,
    devices: Vec<(Device, AccessToken)>,
}

struct Inner {
    metadata: Arc<MemoryMetadata>,
    chunks: Arc<MemoryChunks>,
    running: Option<(Arc<Life>, Server)>,
    lives: u64,
    random: Random,
}

/// The server of a world.
pub struct SimServer {
    common: Common,
    setup: Setup,
    profiles: Vec<Profile>,
    clock: Arc<SimClock>,
    network: Arc<Network>,
    inner: Mutex<Inner>,
}

impl fmt::Debug for SimServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimServer")
            .field("is_running", &self.is_running())
            .finish()
    }
}

impl SimServer {
    /// A server with one account and so many linked devices; it does not run yet.
    pub(crate) async fn new(
        common: Common,
        devices: usize,
        network: Arc<Network>,
        mut random: Random,
    ) -> Result<Self, MetadataError> {
        let clock = Arc::new(SimClock::new(0));
        let entropy = SimEntropy::new(common.seed, "accounts", 0);
        let (setup, profiles) = invent(&entropy, clock.as_ref(), devices);
        let metadata = fresh(&setup, &entropy).await?;
        let random = random.fork();
        Ok(Self {
            common,
            setup,
            profiles,
            clock,
            network,
            inner: Mutex::new(Inner {
                metadata,
                chunks: Arc::new(MemoryChunks::new()),
                running: None,
                lives: 0,
                random,
            }),
        })
    }

    /// Starts it, when it does not run.
    pub fn start(&self) {
        let mut inner = self.inner();
        if inner.running.as_ref().is_some_and(|(life, _)| !life.is_dead()) {
            return;
        }
        inner.lives += 1;
        let number = inner.lives;
        let life = self.common.life("server", number, &mut inner.random);
        let runtime = Runtime {
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SimEntropy::new(self.common.seed, "server", number)),
            spawner: Arc::new(SimSpawner::new(Arc::clone(&life))),
        };
        let config = ServerConfig {
            device_requests_per_second: 100_000,
            content_hash_delay: std::time::Duration::from_millis(200),
            ..ServerConfig::default()
        };
        let metadata = Gated::new(Arc::clone(&inner.metadata), Arc::clone(&life));
        let chunks = Gated::new(Arc::clone(&inner.chunks), Arc::clone(&life));
        let server = Server::open(config, Arc::new(metadata), Arc::new(chunks), runtime);
        server.start_jobs();
        let router = server.router();
        self.network.listen(Some(Listener {
            router,
            life: Arc::clone(&life),
        }));
        self.common
            .trace
            .line("server", format_args!("starts, life {number}"));
        inner.running = Some((life, server));
    }

    /// Kills it: all its tasks end where they are, its stores keep what was written.
    pub fn crash(&self) {
        let running = self.inner().running.take();
        self.network.listen(None);
        if let Some((life, server)) = running {
            life.die("server crash");
            drop(server);
        }
    }

    /// Lets it die by itself.
    pub fn light(&self, fuse: Fuse) {
        if let Some((life, _)) = &self.inner().running {
            life.light(fuse);
        }
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.life().is_some_and(|life| !life.is_dead())
    }

    /// Its current life.
    pub fn life(&self) -> Option<Arc<Life>> {
        let inner = self.inner();
        inner.running.as_ref().map(|(life, _)| Arc::clone(life))
    }

    /// Copies everything that it keeps, at one instant.
    pub fn backup(&self) -> Backup {
        let inner = self.inner();
        self.common.trace.line("server", format_args!("is backed up"));
        Backup {
            metadata: Arc::new(inner.metadata.snapshot()),
            chunks: Arc::new(inner.chunks.snapshot()),
        }
    }

    /// Kills it and puts a backup in place of what it keeps. The caller starts it.
    pub fn restore(&self, backup: &Backup) {
        self.crash();
        self.common.trace.count("server restored");
        self.common.trace.line("server", format_args!("is restored"));
        let mut inner = self.inner();
        inner.metadata = Arc::new(backup.metadata.snapshot());
        inner.chunks = Arc::new(backup.chunks.snapshot());
    }

    /// Kills it and puts an empty server in its place, with the same account and devices. The caller starts it.
    ///
    /// # Errors
    /// Those of the metadata store, which a new store in memory does not have.
    pub async fn replace(&self) -> Result<(), MetadataError> {
        self.crash();
        self.common.trace.count("server replaced");
        self.common.trace.line("server", format_args!("is replaced"));
        let entropy = SimEntropy::new(self.common.seed, "replacement", self.inner().random.next());
        let metadata = fresh(&self.setup, &entropy).await?;
        let mut inner = self.inner();
        inner.metadata = metadata;
        inner.chunks = Arc::new(MemoryChunks::new());
        Ok(())
    }

    /// What it keeps about files, for checks: reads take no part in the simulation.
    pub fn metadata(&self) -> Arc<MemoryMetadata> {
        Arc::clone(&self.inner().metadata)
    }

    /// The bytes that it keeps, for checks.
    pub fn chunks(&self) -> Arc<MemoryChunks> {
        Arc::clone(&self.inner().chunks)
    }

    /// The namespace that all devices sync.
    pub const fn namespace(&self) -> NamespaceId {
        self.setup.account.root
    }

    /// The account of all devices.
    pub const fn account(&self) -> AccountId {
        self.setup.account.id
    }

    /// Its wall clock.
    pub const fn clock(&self) -> &Arc<SimClock> {
        &self.clock
    }

    /// Who the devices are.
    pub(crate) fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// Where the journal stands.
    pub async fn cursor(&self) -> Option<Cursor> {
        let head = self.metadata().head(self.namespace()).await;
        head.ok().flatten().map(|head| head.cursor())
    }

    /// Whether its jobs have nothing left to do.
    pub async fn is_idle(&self) -> bool {
        let unverified = self.metadata().unverified_contents(self.namespace(), 1).await;
        unverified.is_ok_and(|contents| contents.is_empty())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes up an account and its devices.
fn invent(entropy: &dyn Entropy, clock: &dyn Clock, devices: usize) -> (Setup, Vec<Profile>) {
    let now = clock.now();
    let account = Account {
        id: AccountId::random(entropy),
        email: Email::new(EMAIL).expect("it is an address"),
        password_hash: String::new(),
        root: NamespaceId::random(entropy),
        is_admin: false,
        is_disabled: false,
        quota_bytes: None,
        created_at: now,
    };
    let mut linked = Vec::new();
    let mut profiles = Vec::new();
    for number in 0..devices {
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        let token = format!("cairn_{}", blake3::Hash::from_bytes(secret).to_hex());
        let device = Device {
            account: account.id,
            id: DeviceId::random(entropy),
            name: format!("device {number}"),
            created_at: now,
            last_seen_at: now,
            kind: LinkKind::Device,
            app: None,
            wipe: None,
        };
        profiles.push(Profile {
            server: ADDRESS.to_owned(),
            account: account.id,
            email: EMAIL.to_owned(),
            device: device.id,
            device_name: device.name.clone(),
            token: Token::new(token.clone()),
            root: account.root,
            certificate_fingerprint: None,
            folder: None,
        });
        let token = AccessToken {
            hash: TokenHash(Sha256::digest(token.as_bytes()).into()),
            scopes: Scopes::ALL,
            expires_at: None,
        };
        linked.push((device, token));
    }
    (
        Setup {
            account,
            devices: linked,
        },
        profiles,
    )
}

/// A store with nothing but the account and its devices.
async fn fresh(setup: &Setup, entropy: &dyn Entropy) -> Result<Arc<MemoryMetadata>, MetadataError> {
    let metadata = MemoryMetadata::new();
    metadata
        .create_account(&setup.account, Incarnation::random(entropy))
        .await?;
    for (device, token) in &setup.devices {
        metadata.link_device(device, token, None).await?;
    }
    Ok(Arc::new(metadata))
}
