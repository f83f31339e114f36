//! `cairn login`: links this device to a server.

use std::path::PathBuf;

use cairn_api::error::ErrorCode;
use cairn_api::sync::{Login, LoginReply};
use cairn_client::profile::{Profile, Token};
use cairn_client::remote::RemoteError;
use cairn_client::remote::http::{self, CertificateFingerprint, Trust};
use cairn_client::wipe;
use cairn_core::ids::DeviceId;
use cairn_core::limits::DEVICE_NAME_CHARS;
use serde::Serialize;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::home;
use crate::password;

/// Options of `cairn login`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server, such as `https://cairn.example:8321`
    #[arg(value_name = "URL")]
    url: String,
    /// The account's address
    #[arg(long, value_name = "EMAIL")]
    email: String,
    /// File with the password on its first line; asked for on the terminal without it
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// What the account's owner will read in the list of devices [default: the host's name]
    #[arg(long, value_name = "NAME")]
    device_name: Option<String>,
    /// SHA-256 of a self-signed certificate, as its server prints it
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<CertificateFingerprint>,
    /// Code of the authenticator, or a recovery code, where the account asks for one; else asked for on the terminal
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
}

#[derive(Serialize)]
struct LinkedDevice<'a> {
    server: &'a str,
    email: &'a str,
    account: String,
    device: String,
    device_name: &'a str,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let before = Profile::load(app.home.path())?;
    let url = args.url.trim_end_matches('/');
    let email = args.email.trim().to_lowercase();
    if let Some(profile) = &before
        && (profile.server != url || profile.email != email)
    {
        return Err(CliError::refused(format!(
            "this device is linked to {} as {}",
            profile.server, profile.email
        ))
        .next("run \"cairn logout\" first, or set CAIRN_HOME to another folder for a second device"));
    }
    let trust = settle_trust(app, url, args.fingerprint).await?;
    let password = password::obtain(
        app,
        args.password_file.as_deref(),
        &format!("Password of {email}"),
    )?;
    let device_name = match (args.device_name, &before) {
        (Some(name), _) => name,
        (None, Some(profile)) => profile.device_name.clone(),
        (None, None) => default_device_name(),
    };
    // The same device as before: its files keep their history.
    let device = before.as_ref().map_or_else(
        || DeviceId::random(app.runtime.entropy.as_ref()),
        |profile| profile.device,
    );
    let login = Login {
        email: email.clone(),
        password,
        device_name: device_name.clone(),
        device,
        code: args.code,
    };
    let reply = link(app, url, trust, login).await?;
    let profile = Profile {
        server: url.to_owned(),
        account: reply.account,
        email,
        device,
        device_name,
        token: Token::new(reply.token),
        root: reply.root,
        certificate_fingerprint: match trust {
            Trust::Pinned(fingerprint) => Some(fingerprint.to_string()),
            Trust::Platform => None,
        },
        folder: before.and_then(|profile| profile.folder),
    };
    app.home.make()?;
    wipe::forget(app.home.path())?;
    profile.save(app.home.path())?;
    let linked = LinkedDevice {
        server: &profile.server,
        email: &profile.email,
        account: profile.account.to_string(),
        device: profile.device.to_string(),
        device_name: &profile.device_name,
    };
    let text = format!(
        "Linked \"{}\" to {} as {}. Keep a folder in sync with \"cairn start DIR\".",
        profile.device_name, profile.server, profile.email
    );
    app.ui.outcome(text, &linked)
}

/// Logs in; asks for a code on the terminal where the account asks for one.
async fn link(app: &App, url: &str, trust: Trust, mut login: Login) -> CliResult<LoginReply> {
    match http::login(url, trust, &login).await {
        Err(RemoteError::Refused(refusal))
            if refusal.code == ErrorCode::SecondFactorNeeded && app.ui.is_interactive =>
        {
            login.code = Some(password::obtain(app, None, "Code of your authenticator")?);
            Ok(http::login(url, trust, &login).await?)
        }
        other => Ok(other?),
    }
}

/// Decides which certificate is good before anything is sent but a hello.
async fn settle_trust(app: &App, url: &str, fingerprint: Option<CertificateFingerprint>) -> CliResult<Trust> {
    if let Some(wanted) = fingerprint {
        return match http::hello(url, Trust::Pinned(wanted)).await {
            Ok(_) => Ok(Trust::Pinned(wanted)),
            Err(RemoteError::UntrustedCertificate { fingerprint, .. }) => Err(CliError::refused(format!(
                "the certificate of {url} has the fingerprint {fingerprint}, not the one that was given"
            ))
            .next("ask the server's owner for the right one; nothing was sent")),
            Err(error) => Err(error.into()),
        };
    }
    let Some(found) = http::probe_certificate(url).await? else {
        return Ok(Trust::Platform);
    };
    let facts =
        format!("No authority vouches for the certificate of {url}. Its SHA-256 fingerprint is\n  {found}");
    if !app.ui.is_interactive {
        return Err(CliError::refused(facts.replace("\n  ", " ")).next(
            "compare it with what the server printed when it started, then repeat with --fingerprint",
        ));
    }
    app.ui.note(facts);
    if app
        .ui
        .confirm("Is that what the server printed when it started?")?
    {
        Ok(Trust::Pinned(found))
    } else {
        Err(CliError::refused(
            "the certificate was not confirmed; nothing was sent",
        ))
    }
}

/// The host's name, as far as a device's name can have it.
pub(crate) fn default_device_name() -> String {
    home::host_name()
        .chars()
        .filter(|c| !c.is_control())
        .take(DEVICE_NAME_CHARS)
        .collect()
}
