//! `cairn admin`: accounts, apps and tokens of the server whose data is on this machine.

mod apps;
mod audit;
mod links;
mod tokens;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::App;
use crate::administration::{self, Answer, Order, User};
use crate::error::CliResult;
use crate::home;
use crate::password;
use crate::ui::format;

/// Options of `cairn admin`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's data folder [default: that of `cairn up`]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// Accounts
    User {
        #[command(subcommand)]
        action: UserAction,
    },
    /// Invite somebody: print a link by which an account can be made, once
    Invite(links::Invite),
    /// Print a link by which somebody can choose another password, once and within an hour
    ResetLink(links::ResetLink),
    /// Apps with a secret and addresses of their own
    App {
        #[command(subcommand)]
        action: apps::Action,
    },
    /// What was done about accounts
    Audit {
        #[command(subcommand)]
        action: audit::Action,
    },
    /// Tokens for scripts
    Token {
        #[command(subcommand)]
        action: tokens::Action,
    },
}

#[derive(Debug, Subcommand)]
enum UserAction {
    /// Make an account
    Add {
        /// Its address
        #[arg(value_name = "EMAIL")]
        email: String,
        /// File with its password on the first line; asked for on the terminal without it
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// It may administer the server
        #[arg(long)]
        admin: bool,
        /// What it may keep, in bytes or as 10G; no bound without it
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        quota: Option<u64>,
    },
    /// List the accounts
    List,
    /// Lock an account out; nothing of it is deleted
    Disable {
        /// Its address
        #[arg(value_name = "EMAIL")]
        email: String,
    },
    /// Let an account in again
    Enable {
        /// Its address
        #[arg(value_name = "EMAIL")]
        email: String,
    },
    /// Change what an account may keep
    Quota {
        /// Its address
        #[arg(value_name = "EMAIL")]
        email: String,
        /// Bytes, or as 10G; "none" for no bound
        #[arg(value_name = "SIZE", value_parser = parse_quota)]
        quota: Quota,
    },
    /// Ask an account for no second factor any more, as when an authenticator is lost
    RemoveSecondFactor {
        /// Its address
        #[arg(value_name = "EMAIL")]
        email: String,
    },
    /// Change a password; linked devices stay linked
    Passwd {
        /// Its address
        #[arg(value_name = "EMAIL")]
        email: String,
        /// File with its password on the first line; asked for on the terminal without it
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

/// A bound, or none.
#[derive(Debug, Clone, Copy)]
struct Quota(Option<u64>);

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let data = args.data.map_or_else(home::default_data_folder, Ok)?;
    match args.subject {
        Subject::User { action } => user(app, &data, action).await,
        Subject::Invite(args) => links::invite(app, &data, args).await,
        Subject::ResetLink(args) => links::reset(app, &data, args).await,
        Subject::Audit { action } => audit::run(app, &data, action).await,
        Subject::App { action } => apps::run(app, &data, action).await,
        Subject::Token { action } => tokens::run(app, &data, action).await,
    }
}

async fn user(app: &App, data: &Path, action: UserAction) -> CliResult {
    let (order, email, done) = match action {
        UserAction::List => {
            let answer = administration::give(data, &app.runtime, Order::ListUsers).await?;
            let Answer::Users { users } = answer else {
                return Err(administration::strange());
            };
            return print(app, &users);
        }
        UserAction::Add {
            email,
            password_file,
            admin,
            quota,
        } => {
            let password = password::obtain_new(app, password_file.as_deref())?;
            let order = Order::AddUser {
                email: email.clone(),
                password,
                is_admin: admin,
                quota_bytes: quota,
            };
            (order, email, "was made")
        }
        UserAction::Disable { email } => (lock(&email, true), email, "is locked out"),
        UserAction::Enable { email } => (lock(&email, false), email, "is let in again"),
        UserAction::Quota {
            email,
            quota: Quota(quota_bytes),
        } => (
            Order::SetQuota {
                email: email.clone(),
                quota_bytes,
            },
            email,
            "has another quota",
        ),
        UserAction::RemoveSecondFactor { email } => (
            Order::RemoveSecondFactor { email: email.clone() },
            email,
            "is asked for its password alone",
        ),
        UserAction::Passwd { email, password_file } => {
            let password = password::obtain_new(app, password_file.as_deref())?;
            (
                Order::SetPassword {
                    email: email.clone(),
                    password,
                },
                email,
                "has another password",
            )
        }
    };
    administration::give(data, &app.runtime, order)
        .await
        .map_err(|error| error.about(&email))?;
    app.ui
        .outcome(format!("The account {email} {done}."), &json!({ "email": email }))
}

fn lock(email: &str, is_disabled: bool) -> Order {
    Order::SetDisabled {
        email: email.to_owned(),
        is_disabled,
    }
}

fn print(app: &App, users: &[User]) -> CliResult {
    if app.ui.json {
        return app.ui.json(&users);
    }
    for user in users {
        let quota = user
            .quota_bytes
            .map(|quota| format!(" of {}", format::bytes(quota)))
            .unwrap_or_default();
        let admin = if user.is_admin { "  administrator" } else { "" };
        let locked = if user.is_disabled { "  locked out" } else { "" };
        app.ui.line(format!(
            "{}  {}{quota}{admin}{locked}",
            user.email,
            format::bytes(user.bytes_used)
        ))?;
    }
    Ok(())
}

fn parse_quota(text: &str) -> Result<Quota, String> {
    if text == "none" {
        Ok(Quota(None))
    } else {
        parse_size(text).map(|size| Quota(Some(size)))
    }
}

/// Bytes, or a whole number of K, M, G or T: powers of 1024.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..]
        .trim_end_matches("iB")
        .to_ascii_uppercase()
        .as_str()
    {
        "" | "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("a size is a number of bytes, or a number with K, M, G or T".to_owned()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "a size begins with a whole number".to_owned())?;
    number
        .checked_mul(1 << shift)
        .filter(|size| i64::try_from(*size).is_ok())
        .ok_or("that is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let cases = [
            ("0", 0),
            ("512", 512),
            ("10k", 10 << 10),
            ("3M", 3 << 20),
            ("10GiB", 10 << 30),
            ("1T", 1 << 40),
        ];
        for (text, size) in cases {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in ["", "G", "-1", "1.5G", "10 X", "99999999T"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
