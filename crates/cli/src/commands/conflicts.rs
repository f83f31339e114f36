//! `cairn conflicts`: the copies that conflicts left, and what becomes of them.

use std::fs;
use std::path::{Path, PathBuf};

use cairn_client::conflicts::{Conflict, Keep, Merge, Resolution, TEXT_BYTES, Version, unified};
use cairn_client::control::{Reply, Request};
use cairn_core::time::Timestamp;
use serde_json::json;

use super::why::below;
use crate::App;
use crate::daemon_link;
use crate::error::{CliError, CliResult};
use crate::ui::format;

/// Options of `cairn conflicts`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

/// What to do; without any, the conflicts are listed.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show both versions, and where they differ
    Show {
        /// The copy, or the file when it has one copy
        path: PathBuf,
    },
    /// Make one version stand
    Resolve {
        /// The copy, or the file when it has one copy
        path: PathBuf,
        /// Which: mine is the copy, theirs what has the name now
        #[arg(long, value_enum)]
        keep: Side,
        /// With "both": the name that the copy gets
        #[arg(long)]
        name: Option<String>,
        /// With "merged", where both changed the same lines: write a file that shows them
        #[arg(long)]
        markers: bool,
    },
    /// Merge short texts without being asked, where that is clean
    Auto {
        /// Whether to; without it, says whether it is so
        #[arg(value_enum)]
        switch: Option<Switch>,
    },
}

/// The version that stands.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Side {
    Mine,
    Theirs,
    Both,
    Merged,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    match args.action {
        None => list(app).await,
        Some(Action::Show { path }) => show(app, &path).await,
        Some(Action::Resolve {
            path,
            keep,
            name,
            markers,
        }) => {
            let keep = match keep {
                Side::Mine => Keep::Mine,
                Side::Theirs => Keep::Theirs,
                Side::Both => Keep::Both,
                Side::Merged => Keep::Merged,
            };
            let path = below(&folder(app)?, &path);
            resolve(
                app,
                Resolution {
                    path,
                    keep,
                    name,
                    markers,
                },
            )
            .await
        }
        Some(Action::Auto { switch }) => auto(app, switch).await,
    }
}

fn folder(app: &App) -> CliResult<PathBuf> {
    let folder = app.home.profile()?.folder;
    folder.ok_or_else(|| CliError::failed("no folder is synced here").next("begin with \"cairn start DIR\""))
}

async fn conflicts(app: &App) -> CliResult<Vec<Conflict>> {
    match Box::pin(daemon_link::ask(app, Request::Conflicts)).await? {
        Reply::Conflicts { conflicts } => Ok(conflicts),
        _ => Err(other_answer()),
    }
}

fn other_answer() -> CliError {
    CliError::failed("the daemon gave another answer").next("run \"cairn stop\" and start it anew")
}

async fn list(app: &App) -> CliResult {
    let conflicts = conflicts(app).await?;
    if app.ui.json {
        return app.ui.json(&json!({ "conflicts": conflicts }));
    }
    if conflicts.is_empty() {
        return app.ui.done("No conflicts.");
    }
    for conflict in &conflicts {
        app.ui.line(listed(conflict))?;
    }
    Ok(())
}

fn listed(conflict: &Conflict) -> String {
    let made = match (&conflict.device, conflict.is_made_here) {
        (_, true) => "made here".to_owned(),
        (Some(device), false) => format!("made elsewhere, by {device}"),
        (None, false) => "made elsewhere".to_owned(),
    };
    let when = conflict
        .at_ms
        .map(|ms| format!(" {}", format::time(Timestamp::from_millis(ms))));
    let reason = conflict.reason.as_ref().map(|reason| format!(", {reason}"));
    let merge = match conflict.merge {
        Merge::Clean => "can be merged",
        Merge::Overlapping => "both changed the same lines",
        Merge::Impossible => "cannot be merged",
        Merge::Unknown => "not known whether it can be merged",
    };
    format!(
        "{} ({})\n  {} ({})\n  {made}{}{}; {merge}",
        conflict.original.path,
        size(&conflict.original),
        conflict.copy.path,
        size(&conflict.copy),
        when.unwrap_or_default(),
        reason.unwrap_or_default(),
    )
}

fn size(version: &Version) -> String {
    version.size.map_or("folder".to_owned(), format::bytes)
}

async fn show(app: &App, path: &Path) -> CliResult {
    let folder = folder(app)?;
    let path = below(&folder, path);
    let all = conflicts(app).await?;
    let mut meant = all
        .iter()
        .filter(|conflict| conflict.copy.path == path || conflict.original.path == path);
    let Some(conflict) = meant.next() else {
        let message = format!("{path} is no conflicted copy and has none");
        return Err(CliError::refused(message).next("\"cairn conflicts\" lists all"));
    };
    if let Some(other) = meant.next() {
        let message = format!("{path} has several copies");
        return Err(CliError::refused(message).next(format!(
            "name one of them, such as {} or {}",
            conflict.copy.path, other.copy.path
        )));
    }
    let theirs = text(&folder, &conflict.original);
    let mine = text(&folder, &conflict.copy);
    let diff = theirs
        .zip(mine)
        .map(|(theirs, mine)| unified((&conflict.original.path, &theirs), (&conflict.copy.path, &mine)));
    if app.ui.json {
        return app.ui.json(&json!({ "conflict": conflict, "diff": diff }));
    }
    let side = |label: &str, version: &Version| {
        let at = format::time(Timestamp::from_millis(version.mtime_ms));
        format!("{label}  {}  {}  {}", at, size(version), version.path)
    };
    app.ui.line(listed(conflict))?;
    app.ui.line(side("theirs", &conflict.original))?;
    app.ui.line(side("mine  ", &conflict.copy))?;
    match diff {
        Some(diff) => app.ui.line(diff.trim_end()),
        None => Ok(()),
    }
}

/// The text of a version; `None` when it is none.
fn text(folder: &Path, version: &Version) -> Option<String> {
    version.size.filter(|size| *size <= TEXT_BYTES)?;
    let bytes = fs::read(folder.join(&version.path)).ok()?;
    if bytes.contains(&0) || bytes.len() as u64 > TEXT_BYTES {
        return None;
    }
    String::from_utf8(bytes).ok()
}

async fn resolve(app: &App, resolution: Resolution) -> CliResult {
    let keep = resolution.keep;
    if keep != Keep::Both && resolution.name.is_some() {
        return Err(CliError::usage("--name is for --keep both"));
    }
    if keep != Keep::Merged && resolution.markers {
        return Err(CliError::usage("--markers is for --keep merged"));
    }
    let Reply::Resolved { resolved } =
        Box::pin(daemon_link::ask(app, Request::Resolve { resolution })).await?
    else {
        return Err(other_answer());
    };
    if app.ui.json {
        return app.ui.json(&json!(resolved));
    }
    let path = &resolved.path;
    app.ui.done(match (keep, &resolved.other) {
        _ if resolved.is_open => {
            format!(
                "{path} shows where both changed the same lines; the conflict stays until you resolve it."
            )
        }
        (_, Some(other)) => format!("{path} and {other} both stay."),
        (Keep::Mine, None) => format!("{path} is the copy's version now."),
        (Keep::Merged, None) => format!("{path} holds both versions now."),
        (Keep::Theirs | Keep::Both, None) => format!("{path} stays as it is; the copy is gone."),
    })
}

async fn auto(app: &App, switch: Option<Switch>) -> CliResult {
    let on = switch.map(|switch| matches!(switch, Switch::On));
    let Reply::AutoMerge { on } = Box::pin(daemon_link::ask(app, Request::AutoMerge { on })).await? else {
        return Err(other_answer());
    };
    let text = if on {
        "Conflicts of short texts are merged where that is clean."
    } else {
        "Conflicts are left to you."
    };
    app.ui.outcome(text, &json!({ "auto_merge": on }))
}
