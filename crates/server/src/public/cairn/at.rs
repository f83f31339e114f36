//! The tree as it was: listings, metadata and contents of a moment.

use axum::response::Response;
use cairn_core::ids::{DeviceId, Incarnation, NamespaceId, NodeId};
use cairn_core::name::NodeName;
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;
use minicbor::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::call::Call;
use super::super::error::{self, ApiError, ApiResult};
use super::super::metadata::{self, Metadata};
use super::super::sealed::Seal;
use super::super::stone::{self, nested, tag};
use super::super::{files, path};
use crate::service::accounts;
use crate::service::browse;
use crate::service::files::{FileError, Listing, Located, Moment, PAGE, Spot, Target, Walk, When};

const SEAL: Seal = Seal {
    context: "cairn 2026 past listing cursor v1",
    most_chars: 4_096,
};
const VERSION: u8 = 1;

/// A moment, as clients name it.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub(super) enum At {
    /// To the end of this second.
    Time {
        #[schemars(extend("pattern" = stone::TIME_PATTERN))]
        time: String,
    },
    /// To the end of the change that this position belongs to.
    Position {
        #[schemars(range(min = 0))]
        position: i64,
    },
}

/// What a tree is as of: the last change before the moment that was asked for.
#[derive(Serialize, JsonSchema)]
pub(super) struct AsOf {
    position: i64,
    /// When that was; missing before the first change.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
}

/// What stood on a path.
#[derive(Serialize, JsonSchema)]
pub(in super::super) struct PastMetadata {
    metadata: Metadata,
    as_of: AsOf,
}

/// A page of a folder as it was.
#[derive(Serialize, JsonSchema)]
pub(in super::super) struct PastPage {
    entries: Vec<Metadata>,
    /// Goes on from here, while there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    has_more: bool,
    as_of: AsOf,
}

impl At {
    /// The position that it stands for.
    pub(super) async fn find(&self, call: &Call) -> ApiResult<Seq> {
        let refuse = |why: &str| ApiError::Route(nested("at", tag(why)));
        let moment = match self {
            Self::Time { time } => {
                let seconds = stone::parse_time(time).ok_or_else(|| {
                    ApiError::BadInput(format!("at: {time:?} is no time as 2026-11-22T10:00:00Z"))
                })?;
                let last = seconds.saturating_mul(1_000).saturating_add(999);
                Moment::Time(Timestamp::from_millis(last))
            }
            Self::Position { position } => {
                let seq = Seq::new(*position);
                Moment::Position(seq.ok_or_else(|| ApiError::BadInput("at: no position".into()))?)
            }
        };
        let floor = earliest(call).await?;
        match call.files().when(moment, floor).await.map_err(service)? {
            When::At(seq) => Ok(seq),
            When::TooOld => Err(refuse("too_old")),
            When::NotYet => Err(refuse("not_yet")),
        }
    }
}

/// How far back a caller may look: an app with a folder does not see what was there before it was let in.
pub(super) async fn earliest(call: &Call) -> ApiResult<Seq> {
    let since = match call.is_confined() {
        true => Some(accounts::apps::linked_at(&call.state, &call.caller).await?),
        false => None,
    };
    call.files().earliest(since).await.map_err(service)
}

/// As an error of the whole call: none of a path.
pub(super) fn service(error: FileError) -> ApiError {
    match error {
        FileError::Service(error) => error.into(),
        other => ApiError::BadInput(other.to_string()),
    }
}

/// A position, and when it was written.
pub(super) async fn as_of(call: &Call, seq: Seq) -> ApiResult<AsOf> {
    let at = call.files().written_at(Some(seq)).await.map_err(service)?;
    let time = at.map(|at| stone::time(at.as_millis().div_euclid(1_000)));
    let position = seq.get();
    Ok(AsOf { position, time })
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct GetMetadataAt {
    #[schemars(extend("pattern" = path::READ))]
    path: String,
    at: At,
}

/// `cairn/files/get_metadata_at`
pub(in super::super) async fn get_metadata(call: Call, argument: GetMetadataAt) -> ApiResult<PastMetadata> {
    let at = argument.at.find(&call).await?;
    let located = located(&call, &argument.path, at).await?;
    let metadata = metadata::one(&call, &located).await?;
    let as_of = as_of(&call, at).await?;
    Ok(PastMetadata { metadata, as_of })
}

/// `cairn/files/download_at`
pub(in super::super) async fn download(call: Call, argument: GetMetadataAt) -> ApiResult<Response> {
    let at = argument.at.find(&call).await?;
    let located = located(&call, &argument.path, at).await?;
    files::respond_with(&call, &located).await
}

async fn located(call: &Call, text: &str, at: Seq) -> ApiResult<Located> {
    let shape = |error| error::lookup("path", error);
    let target = parse(text, call, path::parse)?;
    let found = call.files().find_at(&target, at).await.map_err(shape)?;
    metadata::spot(found).ok_or_else(|| ApiError::BadInput("path: the root folder is unsupported".into()))
}

/// A path or an id: a revision is one state, whenever it is looked at.
pub(super) fn parse(
    text: &str,
    call: &Call,
    read: impl FnOnce(&str, NamespaceId) -> Result<Target, path::PathError>,
) -> ApiResult<Target> {
    let shape = |error| error::lookup("path", error);
    match read(text, call.namespace()).map_err(|error| error.or(shape))? {
        Target::Revision(_) => Err(ApiError::BadInput(
            "path: a revision is the same at any time".into(),
        )),
        target => Ok(target),
    }
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct ListAt {
    #[schemars(extend("pattern" = path::FOLDER))]
    path: String,
    at: At,
    #[serde(default)]
    recursive: bool,
    #[schemars(range(min = 1, max = PAGE))]
    limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct ContinueAt {
    cursor: String,
}

/// `cairn/files/list_at`
pub(in super::super) async fn list(call: Call, argument: ListAt) -> ApiResult<PastPage> {
    let shape = |error| error::lookup("path", error);
    let limit = argument.limit.unwrap_or(PAGE as u32);
    if !(1..=PAGE as u32).contains(&limit) {
        return Err(ApiError::BadInput(format!("limit: must be 1 to {PAGE}")));
    }
    let at = argument.at.find(&call).await?;
    let target = parse(&argument.path, &call, path::parse_folder)?;
    let spot = call.files().find_at(&target, at).await.map_err(shape)?;
    let folder = spot.folder().map_err(shape)?;
    let cursor = Cursor {
        listing: Listing {
            folder,
            recursive: argument.recursive,
            deleted: false,
            at,
        },
        limit,
        walk: Walk::of(folder),
    };
    // Whoever lists all that is below a folder gets the folder first.
    let first = match spot {
        Spot::Node(located) if argument.recursive => Some(located),
        _ => None,
    };
    page(&call, cursor, first).await
}

/// `cairn/files/list_at/continue`
pub(in super::super) async fn list_continue(call: Call, argument: ContinueAt) -> ApiResult<PastPage> {
    let head = browse::head(&call.state, call.namespace()).await?;
    let cursor = Cursor::open(&argument.cursor, &call, &head.incarnation);
    let cursor =
        cursor.ok_or_else(|| ApiError::BadInput("cursor: it is none of list_at of this app".into()))?;
    page(&call, cursor, None).await
}

async fn page(call: &Call, cursor: Cursor, first: Option<Located>) -> ApiResult<PastPage> {
    let shape = |error| error::lookup("path", error);
    let listing = cursor.listing;
    let limit = cursor.limit as usize;
    let (found, next) = call
        .files()
        .list(&listing, cursor.walk.clone(), limit)
        .await
        .map_err(shape)?;
    let all: Vec<Located> = first.into_iter().chain(found).collect();
    let has_more = next.is_some();
    let cursor = match next {
        None => None,
        Some(walk) => {
            let head = browse::head(&call.state, call.namespace()).await?;
            Some(Cursor { walk, ..cursor }.seal(call, &head.incarnation))
        }
    };
    Ok(PastPage {
        entries: metadata::many(call, &all).await?,
        cursor,
        has_more,
        as_of: as_of(call, listing.at).await?,
    })
}

/// Where a listing goes on.
struct Cursor {
    listing: Listing,
    limit: u32,
    walk: Walk,
}

#[derive(Encode, Decode)]
struct Wire {
    #[n(0)]
    version: u8,
    #[n(1)]
    namespace: i64,
    #[n(2)]
    device: i64,
    #[n(3)]
    folder: i64,
    #[n(4)]
    recursive: bool,
    #[n(5)]
    at: i64,
    #[n(6)]
    limit: u32,
    #[n(7)]
    walk_folder: i64,
    #[n(8)]
    walk_after: Option<String>,
}

impl Cursor {
    fn seal(&self, call: &Call, life: &Incarnation) -> String {
        let after = self.walk.after.as_ref();
        let wire = Wire {
            version: VERSION,
            namespace: call.namespace().get(),
            device: call.caller.device.get(),
            folder: self.listing.folder.get(),
            recursive: self.listing.recursive,
            at: self.listing.at.get(),
            limit: self.limit,
            walk_folder: self.walk.folder.get(),
            walk_after: after.map(|name| name.as_str().to_owned()),
        };
        SEAL.write(&wire, life)
    }

    /// Reads one that was made for the caller; `None` for anything else.
    fn open(text: &str, call: &Call, life: &Incarnation) -> Option<Self> {
        let wire: Wire = SEAL.prove(SEAL.read(text)?, life)?;
        let is_own = wire.version == VERSION
            && NamespaceId::new(wire.namespace).ok()? == call.namespace()
            && DeviceId::new(wire.device).ok()? == call.caller.device;
        is_own.then_some(())?;
        let after = wire.walk_after.map(NodeName::new).transpose().ok()?;
        Some(Self {
            listing: Listing {
                folder: NodeId::new(wire.folder).ok()?,
                recursive: wire.recursive,
                deleted: false,
                at: Seq::new(wire.at)?,
            },
            limit: wire.limit,
            walk: Walk {
                folder: NodeId::new(wire.walk_folder).ok()?,
                after,
                deleted: false,
            },
        })
    }
}
