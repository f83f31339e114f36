//! `cairn devices`: the account's devices.

use serde_json::json;

use crate::App;
use crate::error::CliResult;
use crate::session::Session;
use crate::ui::format;

pub(crate) async fn run(app: &App) -> CliResult {
    let session = Session::open(app)?;
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
            ""
        };
        let seen = format::time(device.last_seen_at);
        app.ui
            .line(format!("{}  last seen {seen}  {}{this}", device.id, device.name))?;
    }
    Ok(())
}
