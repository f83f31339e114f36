//! `cairn admin app`: apps that may ask to be linked, with a secret and addresses of their own.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use crate::App;
use crate::administration::{self, AccessOrder, Answer, Order};
use crate::error::CliResult;

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Register an app; its secret is printed once
    Add {
        /// The name that people see who are asked for consent
        #[arg(value_name = "NAME")]
        name: String,
        /// Where codes may be sent; may be repeated [default: nowhere, codes are shown]
        #[arg(long = "redirect", value_name = "URI")]
        redirect_uris: Vec<String>,
        /// Confine it to this folder below /Apps of each account [default: it may see all of an account]
        #[arg(long, value_name = "NAME")]
        folder: Option<String>,
    },
    /// List the registered apps
    List,
    /// Forget an app, and unlink it in every account
    Remove {
        /// Its key, as listed
        #[arg(value_name = "KEY")]
        key: String,
    },
}

pub(super) async fn run(app: &App, data: &Path, action: Action) -> CliResult {
    match action {
        Action::Add {
            name,
            redirect_uris,
            folder,
        } => {
            let order = AccessOrder::AddApp {
                name: name.clone(),
                redirect_uris,
                folder,
            };
            let answer = administration::give(data, &app.runtime, Order::Access { access: order }).await;
            let Answer::AppAdded { key, secret } = answer.map_err(|error| error.about(&name))? else {
                return Err(administration::strange());
            };
            if app.ui.json {
                return app.ui.json(&json!({ "key": key, "secret": secret }));
            }
            app.ui.line(format!("Key     {key}"))?;
            app.ui.line(format!("Secret  {secret}"))?;
            app.ui.note("The secret is shown once.");
            Ok(())
        }
        Action::List => {
            let answer = administration::give(
                data,
                &app.runtime,
                Order::Access {
                    access: AccessOrder::ListApps,
                },
            )
            .await?;
            let Answer::Apps { apps } = answer else {
                return Err(administration::strange());
            };
            if app.ui.json {
                return app.ui.json(&apps);
            }
            for listed in apps {
                let uris = listed.redirect_uris.join(" ");
                let folder = listed
                    .folder
                    .map(|folder| format!("/Apps/{folder}  "))
                    .unwrap_or_default();
                app.ui
                    .line(format!("{}  {}  {folder}{uris}", listed.key, listed.name).trim_end())?;
            }
            Ok(())
        }
        Action::Remove { key } => {
            let order = AccessOrder::RemoveApp { key: key.clone() };
            administration::give(data, &app.runtime, Order::Access { access: order })
                .await
                .map_err(|error| error.about(&key))?;
            app.ui
                .outcome(format!("The app {key} is forgotten."), &json!({ "key": key }))
        }
    }
}
