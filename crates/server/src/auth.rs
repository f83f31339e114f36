//! Who is asking: passwords, tokens, sessions. The only place that decides it.

pub(crate) mod browsers;
mod caller;
pub(crate) mod passwords;
mod sessions;
mod throttle;
pub(crate) mod tokens;
pub(crate) mod totp;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cairn_api::sync::Wiped;
use cairn_core::ids::{AccountId, DeviceId};
use cairn_metadata::{TokenHash, Wipe};
use governor::Quota;
use std::num::NonZeroU32;
use tokio::sync::Semaphore;

use crate::config::ServerConfig;
use crate::error::ServiceError;
use crate::limiter::Limiter;
use crate::request::Peer;
use crate::service::accounts::made::NOT_LINKED;
use crate::service::audit::{self, Event};
use crate::state::State;

use browsers::Browsers;
pub(crate) use caller::{Author, Caller, Leaver};
use sessions::Sessions;
use throttle::LoginThrottle;
pub(crate) use throttle::network;

/// Hashes in have-checks of one device in a minute: 150 GB of chunks, more than a scan produces, and slow for probing.
const HAVE_HASHES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(2_000_000).expect("it is not zero");
/// Password hashes computed at once, 19 MiB each.
const HASHES_AT_ONCE: usize = 2;
/// Seconds of requests that a device, or an account's apps, may send at once.
const BURST_SECONDS: u32 = 10;
/// Codes and refresh tokens that one network may trade at once, and the time after which it may trade one more. They cannot be
/// guessed; this bounds what asking costs.
const TOKEN_REQUESTS_BURST: u32 = 60;
const TOKEN_REQUESTS_INTERVAL: Duration = Duration::from_secs(1);
/// Codes of six digits that may be tried at one account at once, and the time after which one more may: some 300 a day, of which
/// one in 1,000 days is right by chance.
const CODES_BURST: u32 = 10;
const CODES_INTERVAL: Duration = Duration::from_secs(300);
/// Letters that somebody may have sent to one account at once, and the time after which one more may: nobody fills a mailbox.
const LETTERS_BURST: u32 = 3;
const LETTERS_INTERVAL: Duration = Duration::from_secs(1_200);
/// Codes that were traded and are remembered, and for how long: that of a code.
const REDEEMED_CODES: u64 = 10_000;
const REDEEMED_TIME: Duration = Duration::from_secs(600);
/// Devices whose last contact is remembered.
const TOUCHED_DEVICES: u64 = 100_000;

pub(crate) struct Auth {
    pub(crate) sessions: Sessions,
    pub(crate) browsers: Browsers,
    pub(crate) throttle: LoginThrottle,
    /// Codes and refresh tokens that one network trades.
    pub(crate) token_requests: Limiter<IpAddr>,
    /// Codes that are tried at one account whose password is known.
    pub(crate) second_factors: Limiter<AccountId>,
    /// Links that codes were traded for lately, by the code.
    pub(crate) redeemed: moka::sync::Cache<TokenHash, (AccountId, DeviceId)>,
    /// Letters that an account asks for.
    pub(crate) letters: Limiter<AccountId>,
    pub(crate) hashing: Arc<Semaphore>,
    pub(crate) requests: Limiter<DeviceId>,
    /// Calls of the public API by all apps of one account together.
    pub(crate) calls: Limiter<AccountId>,
    pub(crate) have_hashes: Limiter<DeviceId>,
    /// The folders of confined apps by their links, for a minute.
    pub(crate) app_folders: moka::sync::Cache<DeviceId, Option<String>>,
    /// Devices that were recorded as heard of within the hour.
    touched: moka::sync::Cache<DeviceId, ()>,
}

impl Auth {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        Self {
            sessions: Sessions::new(),
            browsers: Browsers::new(),
            throttle: LoginThrottle::new(&config.login),
            token_requests: Limiter::with_interval(TOKEN_REQUESTS_BURST, TOKEN_REQUESTS_INTERVAL),
            second_factors: Limiter::with_interval(CODES_BURST, CODES_INTERVAL),
            redeemed: moka::sync::Cache::builder()
                .max_capacity(REDEEMED_CODES)
                .time_to_live(REDEEMED_TIME)
                .build(),
            letters: Limiter::with_interval(LETTERS_BURST, LETTERS_INTERVAL),
            hashing: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            requests: Limiter::per_second(config.device_requests_per_second, BURST_SECONDS),
            calls: Limiter::per_second(config.account_calls_per_second, BURST_SECONDS),
            have_hashes: Limiter::new(Quota::per_minute(HAVE_HASHES_PER_MINUTE)),
            app_folders: moka::sync::Cache::builder()
                .max_capacity(TOUCHED_DEVICES)
                .time_to_live(Duration::from_secs(60))
                .build(),
            touched: moka::sync::Cache::builder()
                .max_capacity(TOUCHED_DEVICES)
                .time_to_live(Duration::from_secs(3_600))
                .build(),
        }
    }

    /// Forgets the buckets of those who have been quiet.
    pub(crate) fn tidy(&self) {
        self.throttle.tidy();
        self.token_requests.tidy();
        self.second_factors.tidy();
        self.letters.tidy();
        self.requests.tidy();
        self.calls.tidy();
        self.have_hashes.tidy();
    }
}

/// Forgets a device, app or token of the caller's account, and writes down who did it; see [`unlink`].
pub(crate) async fn unlink_for(
    state: &State,
    caller: &Caller,
    device: DeviceId,
) -> Result<bool, ServiceError> {
    let was_linked = unlink(state, caller.account, device).await?;
    if was_linked {
        audit::record(state, caller.peer, caller.account, Event::Unlinked, device).await;
    }
    Ok(was_linked)
}

/// Forgets a device's token; its open event stream ends.
pub(crate) async fn unlink(
    state: &State,
    account: AccountId,
    device: DeviceId,
) -> Result<bool, ServiceError> {
    let was_linked = state.metadata.unlink_device(account, device).await?;
    state.auth.sessions.forget_all();
    state.notifier.unlinked(device);
    Ok(was_linked)
}

/// Ends all that a device may do but one thing: to learn what it is to delete, and to say that it did. Its open event stream
/// ends, so that it comes at once where it is online.
pub(crate) async fn wipe(
    state: &State,
    peer: Peer,
    account: AccountId,
    device: DeviceId,
    wipe: Wipe,
) -> Result<(), ServiceError> {
    if !state.metadata.ask_wipe(account, device, wipe).await? {
        return Err(NOT_LINKED);
    }
    state.auth.sessions.forget_all();
    state.notifier.unlinked(device);
    tracing::info!(account.id = %account, device.id = %device, ?wipe, "a device is to be wiped");
    audit::record(state, peer, account, Event::WipeAsked, device).await;
    Ok(())
}

/// Forgets a device that has deleted what it kept.
pub(crate) async fn wiped(state: &State, leaver: &Caller, done: Wiped) -> Result<(), ServiceError> {
    unlink(state, leaver.account, leaver.device).await?;
    tracing::info!(
        account.id = %leaver.account,
        device.id = %leaver.device,
        removed = done.removed,
        unsent = done.unsent,
        is_kept = done.is_kept,
        "a device was wiped"
    );
    let event = match (done.unsent, done.is_kept) {
        (0, _) => Event::Wiped,
        (_, true) => Event::WipedButUnsent,
        (_, false) => Event::WipedWithUnsent,
    };
    audit::record(state, leaver.peer, leaver.account, event, leaver.device).await;
    Ok(())
}
