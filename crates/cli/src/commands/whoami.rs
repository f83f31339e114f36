//! `cairn whoami`: whom this device is linked to.

use serde_json::json;

use crate::App;
use crate::error::CliResult;
use crate::session::Session;
use crate::ui::format;

pub(crate) async fn run(app: &App) -> CliResult {
    let session = Session::open(app)?;
    let whoami = session.remote.whoami().await?;
    let profile = &session.profile;
    if app.ui.json {
        return app.ui.json(&json!({
            "email": whoami.email,
            "account": whoami.account.to_string(),
            "server": profile.server,
            "device": whoami.device.to_string(),
            "device_name": profile.device_name,
            "folder": profile.folder,
            "bytes_used": whoami.bytes_used,
            "quota_bytes": whoami.quota_bytes,
        }));
    }
    let usage = match whoami.quota_bytes {
        Some(quota) => format!("{} of {}", format::bytes(whoami.bytes_used), format::bytes(quota)),
        None => format::bytes(whoami.bytes_used),
    };
    app.ui.line(format!("Account  {}", whoami.email))?;
    app.ui.line(format!("Server   {}", profile.server))?;
    app.ui.line(format!("Device   {}", profile.device_name))?;
    app.ui.line(format!("Usage    {usage}"))?;
    match &profile.folder {
        Some(folder) => app.ui.line(format!("Folder   {}", folder.display())),
        None => Ok(()),
    }
}
