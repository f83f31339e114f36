//! `cairn admin token`: tokens of any account.

use std::path::Path;

use cairn_core::ids::DeviceId;
use clap::Subcommand;
use serde_json::json;

use crate::App;
use crate::administration::{self, AccessOrder, Answer, Order};
use crate::commands::token::{self, Listed, Options};
use crate::error::CliResult;

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Make a token for an account; it is printed once
    Create {
        /// The account's address
        #[arg(value_name = "EMAIL")]
        email: String,
        #[command(flatten)]
        options: Options,
    },
    /// List an account's tokens
    List {
        /// The account's address
        #[arg(value_name = "EMAIL")]
        email: String,
    },
    /// Revoke a token of an account
    Revoke {
        /// The account's address
        #[arg(value_name = "EMAIL")]
        email: String,
        /// Its id, as listed
        #[arg(value_name = "ID")]
        id: DeviceId,
    },
}

pub(super) async fn run(app: &App, data: &Path, action: Action) -> CliResult {
    match action {
        Action::Create { email, options } => {
            let order = AccessOrder::MakeToken {
                email: email.clone(),
                name: options.name,
                scopes: options.scopes.join(" "),
                days: options.days,
            };
            let answer = administration::give(data, &app.runtime, Order::Access { access: order }).await;
            match answer.map_err(|error| error.about(&email))? {
                Answer::Token { id, token } => token::print_made(app, &id, &token),
                _ => Err(administration::strange()),
            }
        }
        Action::List { email } => {
            let order = AccessOrder::ListTokens { email: email.clone() };
            let answer = administration::give(data, &app.runtime, Order::Access { access: order }).await;
            match answer.map_err(|error| error.about(&email))? {
                Answer::Tokens { tokens } => {
                    let tokens = tokens.into_iter().map(|token| Listed {
                        id: token.id,
                        name: token.name,
                        created_at_ms: token.created_at_ms,
                        last_seen_at_ms: token.last_seen_at_ms,
                    });
                    token::print_list(app, &tokens.collect::<Vec<_>>())
                }
                _ => Err(administration::strange()),
            }
        }
        Action::Revoke { email, id } => {
            let id = id.to_string();
            let order = AccessOrder::RevokeToken {
                email: email.clone(),
                id: id.clone(),
            };
            administration::give(data, &app.runtime, Order::Access { access: order })
                .await
                .map_err(|error| error.about(&email))?;
            app.ui
                .outcome(format!("The token {id} is revoked."), &json!({ "id": id }))
        }
    }
}
