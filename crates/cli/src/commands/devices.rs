//! `cairn devices`: the devices, apps and tokens that are linked to the account.

use cairn_api::sync::AskWipe;
use cairn_core::ids::DeviceId;
use clap::Subcommand;
use serde_json::json;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::session::Session;
use crate::ui::format;

/// Options of `cairn devices`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Unlink a device, an app or a token; files on a device's disk stay unless --wipe is given
    Unlink {
        /// Its id, as listed
        #[arg(value_name = "ID")]
        id: DeviceId,
        /// Have the device delete what it keeps on its next contact: its state, its token, and of its synced folder all files
        /// that the server has as they are there
        #[arg(long)]
        wipe: bool,
        /// With --wipe: also the files that the server does not have; for a device that was stolen
        #[arg(long, requires = "wipe")]
        everything: bool,
    },
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    let Some(Action::Unlink { id, wipe, everything }) = args.action else {
        return list(app, &session).await;
    };
    if id == session.profile.device {
        return Err(CliError::refused("that is this device").next("unlink it with \"cairn logout\""));
    }
    if wipe {
        let request = AskWipe {
            device: id,
            everything,
        };
        session.remote.ask_wipe(request).await?;
        return app.ui.outcome(
            format!("{id} is unlinked, and deletes what it keeps on its next contact."),
            &json!({ "id": id.to_string(), "wipe": true, "everything": everything }),
        );
    }
    session.remote.unlink(id).await?;
    app.ui
        .outcome(format!("{id} is unlinked."), &json!({ "id": id.to_string() }))
}

async fn list(app: &App, session: &Session) -> CliResult {
    let devices = session.remote.devices().await?.devices;
    if app.ui.json {
        let rows: Vec<_> = devices
            .iter()
            .map(|device| {
                json!({
                    "id": device.id.to_string(),
                    "name": device.name,
                    "created_at_ms": device.created_at.as_millis(),
                    "last_seen_at_ms": device.last_seen_at.as_millis(),
                    "is_to_be_wiped": device.is_to_be_wiped.unwrap_or(false),
                    "kind": device.kind.as_deref().unwrap_or("device"),
                    "is_this": device.id == session.profile.device,
                })
            })
            .collect();
        return app.ui.json(&rows);
    }
    for device in devices {
        let this = if device.id == session.profile.device {
            "  (this device)"
        } else {
            match device.kind.as_deref() {
                Some("app") => "  (app)",
                Some("token") => "  (token)",
                _ if device.is_to_be_wiped == Some(true) => {
                    "  (unlinked; deletes what it keeps on its next contact)"
                }
                _ => "",
            }
        };
        let seen = format::time(device.last_seen_at);
        app.ui
            .line(format!("{}  last seen {seen}  {}{this}", device.id, device.name))?;
    }
    Ok(())
}
