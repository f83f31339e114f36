//! `activity`: what was changed, when and by whom, newest first.

use std::collections::HashMap;

use cairn_core::ids::DeviceId;
use cairn_core::node::{Content, NodeKind};
use cairn_core::rev::{Rev, Seq};
use cairn_metadata::{Device, LinkKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::call::Call;
use super::super::error::{ApiError, ApiResult};
use super::super::metadata;
use super::super::path::file_id;
use super::super::stone;
use super::at;
use crate::service::files::Deed;

/// Entries of one answer at most, about.
const MOST: u32 = 1_000;
const USUAL: u32 = 100;
const CURSOR: &str = "before:";

macro_rules! tags {
    ($($(#[$doc:meta])* $name:ident of $source:path { $($variant:ident = $from:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Serialize, JsonSchema)]
        #[serde(tag = ".tag", rename_all = "snake_case")]
        enum $name { $($variant,)* }

        impl From<$source> for $name {
            fn from(source: $source) -> Self {
                use $source as Source;
                match source { $(Source::$from => Self::$variant,)* }
            }
        }
    )*};
}

tags! {
    /// What was done.
    Change of cairn_core::change::Change {
        Created = Created,
        Moved = Moved,
        Edited = Edited,
        AttributesSet = AttributesSet,
        Deleted = Deleted,
        Restored = Restored,
    }
    /// What it was done to.
    Kind of NodeKind {
        Folder = Directory,
        File = File,
        Symlink = Symlink,
    }
    /// What has done it.
    WriterKind of LinkKind {
        Device = Device,
        App = App,
        Token = Token,
    }
}

/// A page of what was changed, newest first.
#[derive(Serialize, JsonSchema)]
pub(in super::super) struct Activity {
    entries: Vec<Entry>,
    has_more: bool,
    /// Goes on from here, while there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// One thing that was done.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ActivityEntry")]
struct Entry {
    position: i64,
    time: String,
    change: Change,
    kind: Kind,
    id: String,
    /// Where it stood before, if it stood elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_path_display: Option<String>,
    /// Where it stood after.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_display: Option<String>,
    /// Of a content that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    by: Writer,
}

/// Who has done something.
#[derive(Serialize, JsonSchema)]
struct Writer {
    is_caller: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Missing when its link has gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<WriterKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct ActivityArgument {
    #[schemars(range(min = 1, max = MOST))]
    limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct ContinueActivity {
    cursor: String,
    #[schemars(range(min = 1, max = MOST))]
    limit: Option<u32>,
}

/// `cairn/activity`
pub(in super::super) async fn activity(
    call: Call,
    argument: Option<ActivityArgument>,
) -> ApiResult<Activity> {
    page(&call, None, argument.and_then(|argument| argument.limit)).await
}

/// `cairn/activity/continue`
pub(in super::super) async fn activity_continue(
    call: Call,
    argument: ContinueActivity,
) -> ApiResult<Activity> {
    // Nothing is in it that the first call could not come to: it needs no signature.
    let before = argument.cursor.strip_prefix(CURSOR);
    let before = before.and_then(|text| text.parse().ok()).and_then(Seq::new);
    let before = before.ok_or_else(|| ApiError::BadInput("cursor: it is none of cairn/activity".into()))?;
    page(&call, Some(before), argument.limit).await
}

async fn page(call: &Call, before: Option<Seq>, limit: Option<u32>) -> ApiResult<Activity> {
    let limit = limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(ApiError::BadInput(format!("limit: must be 1 to {MOST}")));
    }
    let floor = at::earliest(call).await?;
    let found = call.files().activity(before, floor, limit as usize).await;
    let (deeds, next) = found.map_err(at::service)?;
    let devices = call.state.metadata.devices(call.account.id).await?;
    let devices: HashMap<DeviceId, Device> = devices.into_iter().map(|device| (device.id, device)).collect();
    Ok(Activity {
        entries: deeds.iter().map(|deed| describe(call, &devices, deed)).collect(),
        has_more: next.is_some(),
        cursor: next.map(|next| format!("{CURSOR}{}", next.get())),
    })
}

fn describe(call: &Call, devices: &HashMap<DeviceId, Device>, deed: &Deed) -> Entry {
    use cairn_core::change::Change::{Created, Edited};
    let entry = &deed.entry;
    let has_moved = deed.from != deed.to;
    let from = deed.from.as_ref().filter(|_| has_moved);
    let is_written = matches!(entry.change, Created | Edited) && entry.kind == NodeKind::File;
    let rev = Rev {
        namespace: call.namespace(),
        content_seq: entry.seq,
    };
    Entry {
        position: entry.seq.get(),
        time: stone::time(entry.at.as_millis().div_euclid(1_000)),
        change: entry.change.into(),
        kind: entry.kind.into(),
        id: file_id(call.namespace(), entry.node),
        from_path_display: from.map(|names| metadata::display(names)),
        path_display: deed.to.as_ref().map(|names| metadata::display(names)),
        rev: is_written.then(|| rev.to_string()),
        size: match &entry.content {
            Some(Content::File(file)) => Some(file.size),
            _ => None,
        },
        by: writer(call, devices, entry.device),
    }
}

/// Who did it. An app that may look into one folder alone learns of others only that it was another one.
fn writer(call: &Call, devices: &HashMap<DeviceId, Device>, id: DeviceId) -> Writer {
    // What was not done by the daemon of a device was done in its name.
    let id = match devices.contains_key(&id.on_behalf()) {
        true => id.on_behalf(),
        false => id,
    };
    let is_caller = id == call.caller.device;
    let is_told = is_caller || !call.is_confined();
    let device = devices.get(&id).filter(|_| is_told);
    Writer {
        is_caller,
        id: is_told.then(|| id.get().to_string()),
        kind: device.map(|device| device.kind.into()),
        name: device.map(|device| device.name.clone()),
    }
}
