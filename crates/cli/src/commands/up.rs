//! `cairn up`: the whole thing on one machine.

use std::path::PathBuf;

use cairn_client::profile::{Profile, Token};
use cairn_client::remote::RemoteError;
use cairn_core::ids::DeviceId;
use cairn_metadata::Account;
use cairn_server::service::accounts::{self, NewAccount};
use cairn_server::tls::Tls;
use cairn_server::{Server, ServerConfig};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::App;
use crate::commands::login::default_device_name;
use crate::daemon_link::{self, Running};
use crate::error::{CliError, CliResult, Exit};
use crate::home::{self, DEFAULT_LISTEN};
use crate::hosting::{self, Stores};
use crate::logging::{self, LogFormat};
use crate::password;
use crate::session::Session;
use crate::signals;
use crate::texts;

/// Options of `cairn up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's folder [default: the platform's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port; other than on 127.0.0.1, TLS is used
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_LISTEN)]
    listen: String,
    /// The folder to keep in sync [default: ~/Cairn]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Address of the first account; USER@localhost when absent
    #[arg(long, value_name = "EMAIL")]
    email: Option<String>,
    /// File with the first account's password; without it, one is drawn and printed once
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// How lines of the log are written
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

/// What is printed when everything runs.
#[derive(Serialize)]
struct Ready {
    url: String,
    email: String,
    /// Only when it was drawn just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    folder: PathBuf,
    data: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_fingerprint: Option<String>,
}

/// A server that is about to run, with its first account.
struct Embedded {
    stores: Stores,
    server: Server,
    account: Account,
    drawn_password: Option<String>,
    listener: TcpListener,
    tls: Option<Tls>,
    url: String,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    logging::start("warn", args.log_format)?;
    let stop = signals::stop_token()?;
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => home::default_synced_folder()?,
    };
    let Embedded {
        stores,
        server,
        account,
        drawn_password,
        listener,
        tls,
        url,
    } = open(app, &args).await?;
    let ready = Ready {
        url,
        email: account.email.as_str().to_owned(),
        password: drawn_password,
        folder,
        data: stores.folder.path().to_owned(),
        certificate_fingerprint: tls.as_ref().map(|tls| tls.fingerprint().to_string()),
    };
    let stop_server = CancellationToken::new();
    let serving = hosting::serve(
        &stores,
        server.clone(),
        listener,
        tls,
        &app.runtime,
        stop_server.clone(),
    );
    let working = async {
        let result = Box::pin(keep_in_sync(
            app,
            &stores,
            &server,
            &account,
            &ready,
            stop.clone(),
        ))
        .await;
        stop_server.cancel();
        result
    };
    let serving = async {
        let served = serving.await;
        // A server that could not begin leaves nothing to sync with.
        stop.cancel();
        served
    };
    let (served, worked) = tokio::join!(serving, working);
    let closed = stores.close().await;
    served.and(worked).and(closed)
}

async fn open(app: &App, args: &Args) -> CliResult<Embedded> {
    let data = match &args.data {
        Some(data) => data.clone(),
        None => home::default_data_folder()?,
    };
    let stores = Stores::open(&data, &app.runtime).await?;
    let (account, drawn_password) = first_account(app, args, &stores).await?;
    let listener = hosting::listen(&args.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|error| CliError::failed("the address is unknown").because(error))?;
    let tls = hosting::certificate(&stores.folder, address, None, false)?;
    let url = hosting::local_url(address, tls.is_some());
    let server = stores.server(ServerConfig::default(), &app.runtime);
    texts::index(&stores, &server, true)?;
    Ok(Embedded {
        stores,
        server,
        account,
        drawn_password,
        listener,
        tls,
        url,
    })
}

/// The account that this machine's device belongs to: the one that was named, else the first that was made.
async fn first_account(app: &App, args: &Args, stores: &Stores) -> CliResult<(Account, Option<String>)> {
    let metadata = stores.metadata.as_ref();
    let existing = accounts::list_accounts(metadata).await?;
    if !existing.is_empty() {
        let wanted = args.email.as_deref().map(|email| email.trim().to_lowercase());
        let mut fitting: Vec<Account> = existing
            .into_iter()
            .filter(|account| {
                wanted
                    .as_deref()
                    .is_none_or(|email| account.email.as_str() == email)
            })
            .collect();
        fitting.sort_by_key(|account| account.created_at);
        return match fitting.into_iter().next() {
            Some(account) => Ok((account, None)),
            None => Err(CliError::refused("this server has no account with that address")
                .next("make it with \"cairn admin user add EMAIL\"")),
        };
    }
    let email = match &args.email {
        Some(email) => email.clone(),
        None => format!(
            "{}@localhost",
            home::user_name().unwrap_or_else(|| "me".to_owned())
        ),
    };
    let (password, drawn) = match &args.password_file {
        Some(path) => (password::from_file(path)?, None),
        None => {
            let drawn = password::draw(app.runtime.entropy.as_ref());
            (drawn.clone(), Some(drawn))
        }
    };
    let new = NewAccount {
        email,
        password,
        is_admin: true,
        quota_bytes: None,
    };
    Ok((
        accounts::create_account(metadata, &app.runtime, new).await?,
        drawn,
    ))
}

async fn keep_in_sync(
    app: &App,
    stores: &Stores,
    server: &Server,
    account: &Account,
    ready: &Ready,
    stop: CancellationToken,
) -> CliResult {
    // The password is shown before anything can fail: it is shown once.
    announce(app, ready)?;
    let profile = link(app, stores, server, account, ready).await?;
    let running = Running::open(app, profile, &ready.folder).await?;
    let status = running.status();
    Box::pin(daemon_link::follow(app, status, running.run(stop))).await
}

/// This machine's device: the one that is linked already, else a new one.
async fn link(
    app: &App,
    stores: &Stores,
    server: &Server,
    account: &Account,
    ready: &Ready,
) -> CliResult<Profile> {
    let fingerprint = ready.certificate_fingerprint.clone();
    if let Some(mut profile) = Profile::load(app.home.path())? {
        if profile.account != account.id {
            return Err(linked_elsewhere(&profile));
        }
        profile.server.clone_from(&ready.url);
        profile.certificate_fingerprint.clone_from(&fingerprint);
        match Session::of(app, profile.clone())?.remote.whoami().await {
            Ok(whoami) if whoami.account == account.id => {
                profile.save(app.home.path())?;
                return Ok(profile);
            }
            Ok(_) => return Err(linked_elsewhere(&profile)),
            // Its token was lost on the server's side: the same device is linked again.
            Err(RemoteError::Refused(_)) => {
                let relinked = new_link(
                    app,
                    stores,
                    server,
                    account,
                    (profile.device, profile.device_name),
                )
                .await?;
                let profile = Profile {
                    folder: profile.folder,
                    ..relinked.at(ready)
                };
                profile.save(app.home.path())?;
                return Ok(profile);
            }
            Err(error) => return Err(error.into()),
        }
    }
    app.home.make()?;
    let device = (
        DeviceId::random(app.runtime.entropy.as_ref()),
        default_device_name(),
    );
    let profile = new_link(app, stores, server, account, device).await?.at(ready);
    profile.save(app.home.path())?;
    Ok(profile)
}

/// A profile that does not know its server's address yet.
struct Linked(Profile);

impl Linked {
    fn at(self, ready: &Ready) -> Profile {
        Profile {
            server: ready.url.clone(),
            certificate_fingerprint: ready.certificate_fingerprint.clone(),
            ..self.0
        }
    }
}

async fn new_link(
    app: &App,
    stores: &Stores,
    server: &Server,
    account: &Account,
    (device, device_name): (DeviceId, String),
) -> CliResult<Linked> {
    let metadata = stores.metadata.as_ref();
    let linked = accounts::link_device(metadata, &app.runtime, account, device, &device_name).await?;
    server.forget_sessions();
    Ok(Linked(Profile {
        server: String::new(),
        account: account.id,
        email: account.email.as_str().to_owned(),
        device,
        device_name,
        token: Token::new(linked.token),
        root: linked.root,
        certificate_fingerprint: None,
        folder: None,
    }))
}

fn linked_elsewhere(profile: &Profile) -> CliError {
    CliError::new(
        Exit::Refused,
        format!(
            "this device is linked to {} as {}, not to this server",
            profile.server, profile.email
        ),
    )
    .next("set CAIRN_HOME to another folder for a second device, or run \"cairn logout\" first")
}

fn announce(app: &App, ready: &Ready) -> CliResult {
    if app.ui.json {
        return app.ui.json(ready);
    }
    let mut lines = vec![
        "Cairn is up.".to_owned(),
        String::new(),
        format!("  Web       {}", ready.url),
        format!("  Account   {}", ready.email),
    ];
    if let Some(password) = &ready.password {
        lines.push(format!(
            "  Password  {password}   (shown this once: write it down)"
        ));
    }
    lines.push(format!("  Folder    {}", ready.folder.display()));
    lines.push(format!("  Data      {}", ready.data.display()));
    lines.push(String::new());
    lines.extend(how_to_link(ready));
    lines.push("Ctrl-C ends it; \"cairn up\" begins again where it was.".to_owned());
    // With --quiet only the password is left: it is shown once.
    match (&ready.password, app.ui.quiet) {
        (Some(password), true) => app.ui.line(password),
        (None, true) => Ok(()),
        (_, false) => app.ui.line(lines.join("\n")),
    }
}

fn how_to_link(ready: &Ready) -> Vec<String> {
    let port = ready.url.rsplit(':').next().unwrap_or_default();
    match &ready.certificate_fingerprint {
        Some(fingerprint) => vec![
            "To link another device, run there:".to_owned(),
            format!(
                "  cairn login https://{}:{port} --email {} --fingerprint {fingerprint}",
                home::host_name(),
                ready.email
            ),
        ],
        None => vec![
            "To link another device, let others reach this machine:".to_owned(),
            format!("  cairn up --listen 0.0.0.0:{port}"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn another_device_is_told_how_to_find_this_one() {
        let ready = Ready {
            url: "https://127.0.0.1:9000".to_owned(),
            email: "ada@localhost".to_owned(),
            password: None,
            folder: Path::new("/home/ada/Cairn").to_owned(),
            data: Path::new("/data").to_owned(),
            certificate_fingerprint: Some("ab".repeat(32)),
        };
        let lines = how_to_link(&ready).join("\n");
        assert!(
            lines.contains(":9000 --email ada@localhost --fingerprint abab"),
            "{lines}"
        );
        let plain = Ready {
            certificate_fingerprint: None,
            ..ready
        };
        assert!(how_to_link(&plain).join("\n").contains("--listen 0.0.0.0:9000"));
    }
}
