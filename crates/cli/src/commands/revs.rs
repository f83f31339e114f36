//! `cairn revs`: the states that a remote file went through.

use std::collections::HashMap;

use cairn_api::sync::{RevState, RevsReply, Whereabouts};
use cairn_client::files::RemoteFiles;
use cairn_core::ids::DeviceId;
use cairn_core::node::Content;
use cairn_core::rev::Rev;
use serde_json::{Value, json};

use crate::App;
use crate::error::CliResult;
use crate::history;
use crate::remote_path::RemotePath;
use crate::session::Session;
use crate::ui::format;

/// States that are asked for at once.
const PAGE: u32 = 100;

/// Options of `cairn revs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A remote file, also one that was deleted
    #[arg(value_name = "PATH", value_parser = RemotePath::parse)]
    path: RemotePath,
    /// How many at most, the newest first
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: u32,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    let path = &args.path;
    let reply = newest(&session.files, path, args.limit.max(1)).await?;
    let is_folder = |state: &RevState| state.node.content == Content::Directory;
    if reply.states.iter().any(is_folder) {
        return Err(history::is_folder(path));
    }
    let names = device_names(&session).await?;
    if app.ui.json {
        let revs = reply.states.iter().map(|state| row(&session, &names, state));
        return app.ui.json(&json!({
            "path": path.to_string(),
            "whereabouts": word(reply.whereabouts),
            "revs": revs.collect::<Vec<Value>>(),
        }));
    }
    for (index, state) in reply.states.iter().enumerate() {
        let rev = rev(&session, state);
        let size = format::bytes(state.node.content.size());
        let at = state.at.map_or("-".to_owned(), format::time);
        let device = device(&names, state).unwrap_or("-");
        let is_now = index == 0 && reply.whereabouts == Whereabouts::There;
        let now = if is_now { "  (now)" } else { "" };
        app.ui
            .line(format!("{rev}  {size:>9}  {at:<20}  {device}{now}"))?;
    }
    match reply.whereabouts {
        Whereabouts::There => Ok(()),
        Whereabouts::Elsewhere => app.ui.done(format!(
            "It was moved away from {path}; \"cairn restore {path}\" makes a copy there."
        )),
        Whereabouts::Deleted => app.ui.done(format!(
            "It was deleted; \"cairn restore {path}\" brings it back."
        )),
    }
}

/// The newest states, at most `limit`, asked for page by page.
async fn newest(files: &RemoteFiles, path: &RemotePath, limit: u32) -> CliResult<RevsReply> {
    let mut all = history::states(files, path, None, limit.min(PAGE)).await?;
    loop {
        let count = u32::try_from(all.states.len()).unwrap_or(limit);
        let (Some(last), true) = (all.states.last(), all.has_more && count < limit) else {
            return Ok(all);
        };
        let before = Some(last.node.content_seq);
        let page = history::states(files, path, before, (limit - count).min(PAGE)).await?;
        all.states.extend(page.states);
        all.has_more = page.has_more;
    }
}

/// Names of what is linked now, by the ids that the journal may have.
async fn device_names(session: &Session) -> CliResult<HashMap<DeviceId, String>> {
    let devices = session.remote.devices().await?.devices;
    let names = devices
        .into_iter()
        .flat_map(|row| [(row.id, row.name.clone()), (row.id.on_behalf(), row.name)]);
    Ok(names.collect())
}

fn device<'n>(names: &'n HashMap<DeviceId, String>, state: &RevState) -> Option<&'n str> {
    names.get(&state.device?).map(String::as_str)
}

fn rev(session: &Session, state: &RevState) -> Rev {
    Rev {
        namespace: session.files.namespace,
        content_seq: state.node.content_seq,
    }
}

const fn word(whereabouts: Whereabouts) -> &'static str {
    match whereabouts {
        Whereabouts::There => "there",
        Whereabouts::Elsewhere => "elsewhere",
        Whereabouts::Deleted => "deleted",
    }
}

fn row(session: &Session, names: &HashMap<DeviceId, String>, state: &RevState) -> Value {
    let mut row = json!({
        "rev": rev(session, state).to_string(),
        "size_bytes": state.node.content.size(),
        "at_ms": state.at.map(cairn_core::time::Timestamp::as_millis),
        "device": device(names, state),
    });
    if let Content::File(file) = &state.node.content {
        row["content_hash"] = json!(file.content_hash.to_string());
    }
    row
}
