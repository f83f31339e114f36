//! What an operator may set.

use std::time::Duration;

/// Bounds and times of a server. The defaults serve a household or a small company from one machine.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Connections that are open at once; more wait in the listener's queue.
    pub max_connections: usize,
    /// Bytes of request bodies that are in memory at once; further requests wait.
    pub body_memory_bytes: usize,
    /// How long a body may send nothing.
    pub body_idle_timeout: Duration,
    /// Bytes per second that a body must reach, measured after its first [`Self::body_idle_timeout`].
    pub body_least_bytes_per_second: u64,
    /// How long a reader of a download may take nothing.
    pub download_stall_timeout: Duration,
    /// Downloads that are streamed at once; each keeps up to 3 MiB of chunks, 1 MiB mostly, and 1 MiB that
    /// patches are made from.
    pub max_downloads: usize,
    /// How long running requests may go on after a stop was asked for.
    pub drain_timeout: Duration,
    /// How long a device's token is valid; `None` until it is unlinked.
    pub token_lifetime: Option<Duration>,
    /// How often passwords may be tried.
    pub login: LoginLimits,
    /// Requests per second of one device, in the long run.
    pub device_requests_per_second: u32,
    /// Calls of the public API per second, in the long run, of all apps, scripts and devices of one account together.
    pub account_calls_per_second: u32,
    /// How long no commit has come before the contents of the last ones are read, to check the hashes that devices claimed: who
    /// waits for these contents goes first.
    pub content_hash_delay: Duration,
    /// Whether unencrypted connections from other machines are taken. Only for a server behind a proxy that does TLS.
    pub allow_plain_http: bool,
    /// Whether apps that are not registered may ask to be linked: those that use PKCE and get their code shown, or on the
    /// machine of the browser.
    pub admit_unknown_apps: bool,
    /// Who may make an account without the administrator's hand.
    pub sign_up: SignUp,
    /// How long entries of the audit log are kept.
    pub audit_age: Duration,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignUp {
    /// Who was invited.
    #[default]
    Invited,
    /// Anybody who reaches the server.
    Open,
}

/// How often passwords may be tried, right or wrong.
#[derive(Debug, Clone)]
pub struct LoginLimits {
    /// Attempts of one address at once.
    pub address_burst: u32,
    /// Time after which one address gets one attempt back.
    pub address_interval: Duration,
    /// Attempts at one account at once, from anywhere.
    pub account_burst: u32,
    /// Time after which one account gets one attempt back.
    pub account_interval: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            body_memory_bytes: 24 << 20,
            body_idle_timeout: Duration::from_secs(30),
            body_least_bytes_per_second: 4 << 10,
            download_stall_timeout: Duration::from_secs(60),
            max_downloads: 32,
            drain_timeout: Duration::from_secs(20),
            token_lifetime: None,
            login: LoginLimits::default(),
            device_requests_per_second: 200,
            account_calls_per_second: 500,
            content_hash_delay: Duration::from_secs(10),
            allow_plain_http: false,
            admit_unknown_apps: true,
            sign_up: SignUp::Invited,
            audit_age: Duration::from_secs(365 * 86_400),
        }
    }
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self {
            address_burst: 30,
            address_interval: Duration::from_secs(2),
            account_burst: 20,
            account_interval: Duration::from_secs(30),
        }
    }
}
