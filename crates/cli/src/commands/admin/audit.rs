//! `cairn admin audit`: what was done about accounts.

use std::path::Path;

use clap::Subcommand;

use crate::App;
use crate::administration::{self, Answer, AuditPlace, Order};
use crate::error::CliResult;

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Print the whole log as JSON lines: the server's own entries, then account by account
    Export,
}

pub(super) async fn run(app: &App, data: &Path, action: Action) -> CliResult {
    let Action::Export = action;
    let mut after = Some(AuditPlace::default());
    while let Some(place) = after.take() {
        let order = Order::ExportAudit { after: place };
        let Answer::Audit { entries, next } = administration::give(data, &app.runtime, order).await? else {
            return Err(administration::strange());
        };
        for entry in entries {
            app.ui.json(&entry)?;
        }
        after = next;
    }
    Ok(())
}
