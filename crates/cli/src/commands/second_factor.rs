//! `cairn second-factor`: a code of an authenticator besides the password.

use std::path::PathBuf;

use cairn_api::sync::{SecondFactor, SecondFactorReply, SecondFactorStep};
use clap::Subcommand;
use serde_json::json;

use crate::App;
use crate::error::CliResult;
use crate::password;
use crate::session::Session;

/// Options of `cairn second-factor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Draw a secret for an authenticator; nothing is asked for before it is confirmed
    Begin {
        /// File with the account's password on its first line; asked for on the terminal without it
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Confirm the secret by a code; recovery codes are printed once
    Confirm {
        /// A code of the authenticator
        #[arg(value_name = "CODE")]
        code: String,
    },
    /// Ask for no code any more
    Off {
        /// A code of the authenticator, or a recovery code
        #[arg(value_name = "CODE")]
        code: String,
        /// File with the account's password on its first line; asked for on the terminal without it
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    let password = |file: Option<PathBuf>| {
        let question = format!("Password of {}", session.profile.email);
        password::obtain(app, file.as_deref(), &question)
    };
    let (step, password, code) = match args.action {
        None => (SecondFactorStep::Look, String::new(), None),
        Some(Action::Begin { password_file }) => (SecondFactorStep::Begin, password(password_file)?, None),
        Some(Action::Confirm { code }) => (SecondFactorStep::Confirm, String::new(), Some(code)),
        Some(Action::Off { code, password_file }) => {
            (SecondFactorStep::TurnOff, password(password_file)?, Some(code))
        }
    };
    let request = SecondFactor { step, password, code };
    print(app, &session.remote.second_factor(request).await?)
}

fn print(app: &App, reply: &SecondFactorReply) -> CliResult {
    if app.ui.json {
        return app.ui.json(&json!({
            "is_active": reply.is_active,
            "secret": reply.secret,
            "uri": reply.uri,
            "recovery_codes": reply.recovery_codes,
        }));
    }
    if let (Some(secret), Some(uri)) = (&reply.secret, &reply.uri) {
        app.ui.line(format!("Secret   {secret}"))?;
        app.ui.line(format!("Address  {uri}"))?;
        return app
            .ui
            .done("Tell it your authenticator, then run \"cairn second-factor confirm CODE\".");
    }
    for code in &reply.recovery_codes {
        app.ui.line(code)?;
    }
    if !reply.recovery_codes.is_empty() {
        app.ui
            .note("Each of these recovery codes stands for the authenticator once. They are shown once.");
    }
    app.ui.done(if reply.is_active {
        "A login asks for a code besides the password."
    } else {
        "A login asks for the password alone."
    })
}
