//! `cairn token`: tokens of the linked account, for scripts and programs that know no OAuth.

use cairn_api::sync::MakeToken;
use cairn_core::ids::DeviceId;
use clap::Subcommand;
use serde_json::json;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::session::Session;
use crate::ui::format;

/// Options of `cairn token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token; it is printed once
    Create(Options),
    /// List the tokens
    List,
    /// Revoke a token
    Revoke {
        /// Its id, as listed
        #[arg(value_name = "ID")]
        id: DeviceId,
    },
}

/// What a token is to be.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What it is called in listings
    #[arg(long, value_name = "NAME", default_value = "token")]
    pub(crate) name: String,
    /// What it may do, as files.content.read; may be repeated [default: everything but syncing]
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// Days until it expires [default: never]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: Option<u32>,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    match args.action {
        Action::Create(options) => {
            let request = MakeToken {
                name: options.name,
                scopes: options.scopes.join(" "),
                days: options.days,
            };
            let made = session.remote.make_token(request).await?;
            print_made(app, &made.id.to_string(), &made.token)
        }
        Action::List => {
            let rows = session.remote.devices().await?.devices;
            let tokens = rows
                .into_iter()
                .filter(|row| row.kind.as_deref() == Some("token"))
                .map(|row| Listed {
                    id: row.id.to_string(),
                    name: row.name,
                    created_at_ms: row.created_at.as_millis(),
                    last_seen_at_ms: row.last_seen_at.as_millis(),
                });
            print_list(app, &tokens.collect::<Vec<_>>())
        }
        Action::Revoke { id } => {
            let rows = session.remote.devices().await?.devices;
            let is_token = |kind: Option<&str>| kind == Some("token");
            if !rows
                .iter()
                .any(|row| row.id == id && is_token(row.kind.as_deref()))
            {
                return Err(CliError::refused(format!("the account has no token {id}"))
                    .next("see \"cairn token list\""));
            }
            session.remote.unlink(id).await?;
            app.ui.outcome(
                format!("The token {id} is revoked."),
                &json!({ "id": id.to_string() }),
            )
        }
    }
}

/// A token as it is listed.
#[derive(serde::Serialize)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_at_ms: i64,
    pub(crate) last_seen_at_ms: i64,
}

pub(crate) fn print_made(app: &App, id: &str, token: &str) -> CliResult {
    if app.ui.json {
        return app.ui.json(&json!({ "id": id, "token": token }));
    }
    app.ui.line(token)?;
    app.ui
        .note("It is shown once. Whoever has it may do with your files what its scopes allow.");
    Ok(())
}

pub(crate) fn print_list(app: &App, tokens: &[Listed]) -> CliResult {
    if app.ui.json {
        return app.ui.json(&tokens);
    }
    for token in tokens {
        let seen = format::time(cairn_core::time::Timestamp::from_millis(token.last_seen_at_ms));
        app.ui
            .line(format!("{}  last used {seen}  {}", token.id, token.name))?;
    }
    Ok(())
}
