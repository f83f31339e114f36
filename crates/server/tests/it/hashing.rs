//! Passwords are hashed two at a time, whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use cairn_api::error::ErrorCode;
use cairn_api::sync::path;
use cairn_core::runtime::{BoxFuture, Spawner};
use cairn_metadata::{Email, MemoryMetadata, MetadataStore};
use cairn_server::service::accounts::invited::reset_link;
use cairn_server::{ServerConfig, SignUp};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::browser::{Browser, MAESTRAL, encoded, pkce};
use crate::support::{PASSWORD, Raw, TokioSpawner, World, assert_refused, login, soon};

const ADA: &str = "ada@example.org";

/// Work that blocks, and is held until it may go on.
#[derive(Default)]
pub(crate) struct Hashing {
    is_held: watch::Sender<bool>,
    running: AtomicUsize,
    /// The most that ran at once.
    most: AtomicUsize,
}

struct HeldSpawner(Arc<Hashing>);

impl Spawner for HeldSpawner {
    fn spawn(&self, name: &'static str, task: BoxFuture<()>) {
        TokioSpawner.spawn(name, task);
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        let hashing = Arc::clone(&self.0);
        Box::pin(async move {
            let running = hashing.running.fetch_add(1, Ordering::SeqCst) + 1;
            hashing.most.fetch_max(running, Ordering::SeqCst);
            let mut is_held = hashing.is_held.subscribe();
            is_held.wait_for(|is_held| !is_held).await.unwrap();
            // Here, where it takes none of the time that stands still.
            work();
            hashing.running.fetch_sub(1, Ordering::SeqCst);
        })
    }
}

impl Hashing {
    /// A world whose hashes are held on demand.
    pub(crate) fn world(sign_up: SignUp) -> (World, Arc<Self>) {
        let hashing = Arc::new(Self::default());
        let config = ServerConfig {
            sign_up,
            ..ServerConfig::default()
        };
        let spawner = Arc::new(HeldSpawner(Arc::clone(&hashing)));
        let world = World::over(config, Arc::new(MemoryMetadata::new()), spawner);
        (world, hashing)
    }

    pub(crate) fn hold(&self, is_held: bool) {
        self.is_held.send_replace(is_held);
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Logins that are under way.
pub(crate) fn logins(world: &World, count: usize) -> FuturesUnordered<impl Future<Output = Raw>> {
    let attempt = |_| async { world.post(path::LOGIN, None, &login(ADA, PASSWORD)).await };
    (0..count).map(attempt).collect()
}

/// Holds the two places, until the world is asked to go on; those whose logins are.
pub(crate) async fn occupied(
    world: &World,
    hashing: &Hashing,
) -> FuturesUnordered<impl Future<Output = Raw>> {
    hashing.hold(true);
    let mut waiting = logins(world, 4);
    let started = Instant::now();
    for _ in 0..2 {
        let raw = soon(waiting.next()).await.unwrap();
        assert_refused(&raw, ErrorCode::Unavailable);
        assert_eq!(started.elapsed().as_secs(), 10);
    }
    assert_eq!((waiting.len(), hashing.most()), (2, 2));
    waiting
}

#[tokio::test(start_paused = true)]
async fn two_passwords_are_hashed_at_once_and_others_wait_ten_seconds() {
    let (world, hashing) = Hashing::world(SignUp::Open);
    world.account(ADA).await;
    let metadata: &dyn MetadataStore = world.metadata.as_ref();
    let reset = reset_link(metadata, &world.runtime, ADA).await.unwrap();
    let mut waiting = occupied(&world, &hashing).await;
    // Whatever else costs a hash waits as well, and what costs none does not.
    let browser = Browser::new(&world);
    let (started, page) = (Instant::now(), pkce(MAESTRAL, &[]));
    let fields = [("email", ADA), ("password", PASSWORD)];
    let pressed = soon(browser.press(&page, "sign-in", &fields)).await;
    assert_eq!(pressed.status, 503);
    let joins = [("email", "eve@example.org"), ("password", PASSWORD)];
    for (uri, fields) in [("/join", &joins[..]), (reset.as_str(), &joins[1..])] {
        let form = axum::http::Request::post(uri).body(encoded(fields).into());
        let sent = soon(world.send(form.unwrap())).await;
        assert_eq!(sent.status, 503, "{uri}");
    }
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    hashing.hold(false);
    while let Some(raw) = waiting.next().await {
        assert_eq!(raw.status, 200);
    }
    assert_eq!(hashing.most(), 2);
}

#[tokio::test]
async fn a_password_is_kept_as_argon2id_with_a_salt_of_its_own() {
    let world = World::new();
    let mut salts = Vec::new();
    for email in [ADA, "bob@example.org"] {
        world.account(email).await;
        let email = Email::new(email).unwrap();
        let account = world.metadata.account_by_email(&email).await.unwrap().unwrap();
        let rest = account
            .password_hash
            .strip_prefix("$argon2id$v=19$m=19456,t=2,p=1$");
        let (salt, _) = rest.unwrap().split_once('$').unwrap();
        salts.push(STANDARD_NO_PAD.decode(salt).unwrap());
    }
    assert_eq!((salts[0].len(), salts[1].len()), (16, 16));
    assert_ne!(salts[0], salts[1], "the password is the same");
}
