//! `cairn admin invite` and `cairn admin reset-link`: links that work once. The running server mails them where that is configured;
//! else they are printed.

use std::path::Path;

use serde_json::json;

use super::parse_size;
use crate::App;
use crate::administration::{self, Answer, Order};
use crate::error::CliResult;
use crate::ui;

/// Options of `cairn admin invite`.
#[derive(Debug, clap::Args)]
pub(super) struct Invite {
    /// The address that the account must have [default: any]
    #[arg(value_name = "EMAIL")]
    email: Option<String>,
    /// What it may keep, in bytes or as 10G; no bound without it
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    quota: Option<u64>,
    /// Days for which the link is good
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
    days: u32,
    /// The server's address as people reach it, to be put in front of the link
    #[arg(long, value_name = "URL", default_value = "")]
    url: String,
}

/// Options of `cairn admin reset-link`.
#[derive(Debug, clap::Args)]
pub(super) struct ResetLink {
    /// The account's address
    #[arg(value_name = "EMAIL")]
    email: String,
    /// The server's address as people reach it, to be put in front of the link
    #[arg(long, value_name = "URL", default_value = "")]
    url: String,
}

pub(super) async fn invite(app: &App, data: &Path, args: Invite) -> CliResult {
    let order = Order::Invite {
        email: args.email,
        quota_bytes: args.quota,
        days: args.days,
    };
    print(app, data, order, &args.url).await
}

pub(super) async fn reset(app: &App, data: &Path, args: ResetLink) -> CliResult {
    print(app, data, Order::ResetLink { email: args.email }, &args.url).await
}

async fn print(app: &App, data: &Path, order: Order, url: &str) -> CliResult {
    let path = match administration::give(data, &app.runtime, order).await? {
        Answer::Link { path, not_mailed } => {
            if let Some(why) = not_mailed {
                ui::warn(format!("the link was not mailed: {why}"));
            }
            path
        }
        Answer::Mailed if app.ui.json => return app.ui.json(&json!({ "mailed": true })),
        Answer::Mailed => return app.ui.done("The link was mailed"),
        _ => return Err(administration::strange()),
    };
    let link = format!("{}{path}", url.trim_end_matches('/'));
    if app.ui.json {
        return app.ui.json(&json!({ "link": link }));
    }
    app.ui.line(link)
}
