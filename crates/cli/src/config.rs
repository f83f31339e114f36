//! The configuration file of `cairn serve`.
//!
//! TOML; every key has its unit in its name; a key that is not known is refused, so that a typing error is seen. What
//! the command line says counts more.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_server::{ServerConfig, SignUp};
use serde::Deserialize;

use crate::error::{CliError, CliResult};

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// The data folder.
    pub(crate) data: Option<PathBuf>,
    /// Address and port.
    pub(crate) listen: Option<String>,
    /// The certificate.
    pub(crate) tls: TlsSection,
    /// Bounds.
    pub(crate) limits: LimitsSection,
    /// Attempts at passwords.
    pub(crate) login: LoginSection,
    /// Apps that ask to be linked.
    pub(crate) apps: AppsSection,
    /// Accounts of people's own making.
    pub(crate) accounts: AccountsSection,
    /// What is searched.
    pub(crate) search: SearchSection,
    /// How mail is sent.
    pub(crate) mail: mail::MailSection,
    /// By whom people sign in.
    pub(crate) oidc: oidc::OidcSection,
    /// Where traces go.
    pub(crate) telemetry: TelemetrySection,
}

/// `[telemetry]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TelemetrySection {
    /// The collector's address; spans are posted to `/v1/traces` below it.
    pub(crate) otlp_endpoint: Option<String>,
    /// What they call this server.
    pub(crate) service_name: Option<String>,
}

mod mail;
mod oidc;

/// `[apps]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AppsSection {
    admit_unregistered: Option<bool>,
}

/// `[search]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SearchSection {
    contents: Option<bool>,
}

impl SearchSection {
    /// Whether files are found by what they hold.
    pub(crate) fn indexes_texts(&self) -> bool {
        self.contents.unwrap_or(true)
    }
}

/// `[accounts]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccountsSection {
    sign_up: Option<SignUpWord>,
    audit_days: Option<NonZeroU32>,
}

impl AccountsSection {
    fn apply(&self, config: &mut ServerConfig) {
        let sign_up = self.sign_up.map(|word| match word {
            SignUpWord::Invited => SignUp::Invited,
            SignUpWord::Open => SignUp::Open,
        });
        set(&mut config.sign_up, sign_up);
        if let Some(days) = self.audit_days {
            config.audit_age = Duration::from_secs(u64::from(days.get()) * 86_400);
        }
    }
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SignUpWord {
    Invited,
    Open,
}

/// `[tls]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TlsSection {
    /// PEM file with the certificate and those that vouch for it.
    pub(crate) cert: Option<PathBuf>,
    /// PEM file with its key.
    pub(crate) key: Option<PathBuf>,
    /// Whether a proxy in front does TLS: plain HTTP is taken from other machines then.
    pub(crate) behind_proxy: bool,
}

/// `[limits]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsSection {
    max_connections: Option<NonZeroU32>,
    max_downloads: Option<NonZeroU32>,
    body_memory_mib: Option<NonZeroU32>,
    body_idle_timeout_seconds: Option<NonZeroU32>,
    body_least_bytes_per_second: Option<u64>,
    download_stall_timeout_seconds: Option<NonZeroU32>,
    drain_timeout_seconds: Option<u32>,
    token_lifetime_days: Option<NonZeroU32>,
    device_requests_per_second: Option<NonZeroU32>,
    account_calls_per_second: Option<NonZeroU32>,
}

impl LimitsSection {
    fn apply(&self, config: &mut ServerConfig) {
        let seconds_of = |number: NonZeroU32| seconds(number.get());
        set(&mut config.max_connections, self.max_connections.map(as_count));
        set(&mut config.max_downloads, self.max_downloads.map(as_count));
        set(
            &mut config.body_memory_bytes,
            self.body_memory_mib.map(|mib| as_count(mib) << 20),
        );
        set(
            &mut config.body_idle_timeout,
            self.body_idle_timeout_seconds.map(seconds_of),
        );
        set(
            &mut config.body_least_bytes_per_second,
            self.body_least_bytes_per_second,
        );
        set(
            &mut config.download_stall_timeout,
            self.download_stall_timeout_seconds.map(seconds_of),
        );
        set(&mut config.drain_timeout, self.drain_timeout_seconds.map(seconds));
        set(
            &mut config.device_requests_per_second,
            self.device_requests_per_second.map(NonZeroU32::get),
        );
        set(
            &mut config.account_calls_per_second,
            self.account_calls_per_second.map(NonZeroU32::get),
        );
        if let Some(days) = self.token_lifetime_days {
            config.token_lifetime = Some(Duration::from_secs(u64::from(days.get()) * 86_400));
        }
    }
}

/// `[login]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LoginSection {
    address_burst: Option<NonZeroU32>,
    address_interval_seconds: Option<NonZeroU32>,
    account_burst: Option<NonZeroU32>,
    account_interval_seconds: Option<NonZeroU32>,
}

impl LoginSection {
    fn apply(&self, config: &mut ServerConfig) {
        let seconds_of = |number: NonZeroU32| seconds(number.get());
        let login = &mut config.login;
        set(&mut login.address_burst, self.address_burst.map(NonZeroU32::get));
        set(&mut login.account_burst, self.account_burst.map(NonZeroU32::get));
        set(
            &mut login.address_interval,
            self.address_interval_seconds.map(seconds_of),
        );
        set(
            &mut login.account_interval,
            self.account_interval_seconds.map(seconds_of),
        );
    }
}

impl ConfigFile {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> CliResult<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| CliError::io("read the configuration", path, error))?;
        Self::parse(&text).map_err(|error| {
            let message = format!("the configuration {} is wrong", path.display());
            CliError::usage(format!("{message}: {}", error.to_string().trim_end()))
                .next("see docs/cli.md for its keys")
        })
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The server's settings: those of the file, else the defaults.
    pub(crate) fn server_config(&self) -> ServerConfig {
        let mut config = ServerConfig {
            allow_plain_http: self.tls.behind_proxy,
            ..ServerConfig::default()
        };
        self.limits.apply(&mut config);
        self.accounts.apply(&mut config);
        self.login.apply(&mut config);
        set(&mut config.admit_unknown_apps, self.apps.admit_unregistered);
        config
    }
}

/// What stands in a file of its own.
fn read(path: &Path) -> CliResult<Vec<u8>> {
    std::fs::read(path).map_err(|error| CliError::io("read", path, error))
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}

const fn as_count(number: NonZeroU32) -> usize {
    number.get() as usize
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_key_of_the_manual_is_read() {
        let manual = include_str!("../../../docs/cli.md");
        let example = manual
            .split("```toml")
            .nth(1)
            .and_then(|rest| rest.split("```").next())
            .unwrap();
        let config = ConfigFile::parse(example).unwrap();
        assert_eq!(config.listen.as_deref(), Some("0.0.0.0:8321"));
        let server = config.server_config();
        // The manual says that its values are the defaults, but for this one.
        let defaults = ServerConfig {
            token_lifetime: Some(Duration::from_secs(90 * 86_400)),
            ..ServerConfig::default()
        };
        assert_eq!(format!("{server:?}"), format!("{defaults:?}"));
        assert!(
            config.mail_config().is_err(),
            "the file with the password is missing"
        );
        assert!(
            config.oidc_config().is_err(),
            "the file with the secret is missing"
        );
        let debugged = format!("{config:?}");
        let unset = debugged.matches("None").count();
        assert_eq!(unset, 0, "the example lacks a key: {debugged}");
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = ConfigFile::parse("").unwrap();
        assert_eq!(config, ConfigFile::default());
        assert!(config.mail_config().unwrap().is_none() && config.oidc_config().unwrap().is_none());
        let (ours, defaults) = (config.server_config(), ServerConfig::default());
        assert_eq!(format!("{ours:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let refused = |text| ConfigFile::parse(text).unwrap_err().message().to_owned();
        expect![[
            "unknown field `lissten`, expected one of `data`, `listen`, `tls`, `limits`, `login`, `apps`, `accounts`, `search`, `mail`, `oidc`, `telemetry`"
        ]]
        .assert_eq(&refused("lissten = \"x\""));
        expect!["invalid value: integer `0`, expected a nonzero u32"]
            .assert_eq(&refused("[limits]\nmax_connections = 0"));
        assert!(refused("[tls]\nself_signed = true").starts_with("unknown field `self_signed`"));
    }
}
