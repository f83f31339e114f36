//! `list_folder`: a listing, then the journal after it.

use std::sync::Arc;

use cairn_metadata::NamespaceHead;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::super::call::Call;
use super::super::cursor::{self, ListCursor, Position, Stage};
use super::super::error::{self, ApiError, ApiResult};
use super::super::stone::tag;
use super::super::{metadata, path};
use super::answers::{Latest, Page};
use crate::service::browse;
use crate::service::files::{FileError, Files, Listing, Located, News, PAGE, Scope, Spot, Step, Walk};
use crate::state::State;

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct ListFolder {
    #[schemars(extend("pattern" = path::FOLDER))]
    path: String,
    #[serde(default)]
    recursive: bool,
    #[schemars(range(min = 1, max = PAGE))]
    limit: Option<u32>,
    /// Whether what has gone from a folder is listed with it.
    #[serde(default)]
    include_deleted: bool,
    /// There are none yet.
    #[schemars(with = "()")]
    #[serde(default)]
    shared_link: Option<Value>,
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Continue {
    cursor: String,
}

/// `files/list_folder`
pub(in super::super) async fn list_folder(call: Call, argument: ListFolder) -> ApiResult<Page> {
    let (cursor, head, spot) = begin(&call, &argument).await?;
    // Whoever lists all that is below a folder gets the folder first.
    let first = match spot {
        Spot::Node(located) if argument.recursive => Some(located),
        _ => None,
    };
    go_on(&call, cursor, &head, first).await
}

/// `files/list_folder/get_latest_cursor`: the cursor that a listing would end with.
pub(in super::super) async fn latest_cursor(call: Call, argument: ListFolder) -> ApiResult<Latest> {
    let (mut cursor, head, _) = begin(&call, &argument).await?;
    cursor.stage = Stage::Following {
        after: Position::of(&head.cursor()),
    };
    let cursor = cursor.seal(&head.incarnation);
    Ok(Latest { cursor })
}

/// `files/list_folder/continue`
pub(in super::super) async fn list_folder_continue(call: Call, argument: Continue) -> ApiResult<Page> {
    let (cursor, head) = open(&call.state, &argument.cursor).await?;
    // A confined app has no use for the cursors of others, which may lie outside its folder.
    let is_foreign = call.is_confined() && cursor.device != call.caller.device;
    if cursor.namespace != call.namespace() || is_foreign {
        return Err(unreadable());
    }
    go_on(&call, cursor, &head, None).await
}

async fn begin(call: &Call, argument: &ListFolder) -> ApiResult<(ListCursor, NamespaceHead, Spot)> {
    let shape = |error| error::lookup("path", error);
    if argument.shared_link.is_some() {
        return Err(ApiError::BadInput(
            "shared_link: this server has no shared links yet".into(),
        ));
    }
    let limit = argument.limit.unwrap_or(PAGE as u32);
    if !(1..=PAGE as u32).contains(&limit) {
        return Err(ApiError::BadInput(format!("limit: must be 1 to {PAGE}")));
    }
    let target = path::parse_folder(&argument.path, call.namespace()).map_err(|error| error.or(shape))?;
    // Read first: what is found may then be newer than what the listing shows, never older.
    let head = browse::head(&call.state, call.namespace()).await?;
    let spot = call.files().find(&target).await.map_err(shape)?;
    let folder = spot.folder().map_err(shape)?;
    let scope = Scope {
        folder,
        recursive: argument.recursive,
    };
    let cursor = ListCursor {
        namespace: call.namespace(),
        device: call.caller.device,
        scope,
        // What its owner has taken away before the app was let in is none of its business.
        deleted: argument.include_deleted && !call.is_confined(),
        limit,
        stage: Stage::Listing {
            at: Position::of(&head.cursor()),
            walk: Walk::of(folder),
        },
    };
    Ok((cursor, head, spot))
}

/// Reads a cursor and believes it.
pub(super) async fn open(state: &Arc<State>, text: &str) -> ApiResult<(ListCursor, NamespaceHead)> {
    let namespace = cursor::claimed_namespace(text).ok_or_else(unreadable)?;
    let head = state.metadata.head(namespace).await?.ok_or_else(unreadable)?;
    match ListCursor::open(text, &head.incarnation) {
        Some(cursor) => Ok((cursor, head)),
        None => Err(unreadable()),
    }
}

fn unreadable() -> ApiError {
    ApiError::BadInput("cursor: it is none of this server's: begin again with list_folder".into())
}

/// A page, and the cursor behind it.
async fn go_on(
    call: &Call,
    cursor: ListCursor,
    head: &NamespaceHead,
    first: Option<Located>,
) -> ApiResult<Page> {
    let shape = |error| error::lookup("path", error);
    let mut entries = match &first {
        Some(located) => vec![metadata::one(call, located).await?],
        None => Vec::new(),
    };
    let page = advance(&call.files(), &cursor, head).await.map_err(shape)?;
    let Some((news, stage, has_more)) = page else {
        return Err(ApiError::Route(tag("reset")));
    };
    entries.extend(describe(call, news).await?);
    let cursor = ListCursor { stage, ..cursor }.seal(&head.incarnation);
    Ok(Page {
        entries,
        cursor,
        has_more,
    })
}

type Advance = (Vec<News>, Stage, bool);

/// What comes next, and what after it; `None` when the cursor cannot be followed.
pub(super) async fn advance(
    files: &Files<'_>,
    cursor: &ListCursor,
    head: &NamespaceHead,
) -> Result<Option<Advance>, FileError> {
    let limit = cursor.limit as usize;
    let scope = &cursor.scope;
    match &cursor.stage {
        Stage::Listing { at, walk } => {
            let listing = Listing {
                folder: scope.folder,
                recursive: scope.recursive,
                deleted: cursor.deleted,
                at: at.seq,
            };
            let (found, next) = files.list_all(&listing, walk.clone(), limit).await?;
            let has_more = next.is_some();
            let stage = match next {
                Some(walk) => Stage::Listing { at: *at, walk },
                None => Stage::Following { after: *at },
            };
            Ok(Some((found, stage, has_more)))
        }
        Stage::Following { after } => {
            let from = after.cursor(&head.cursor());
            let Step::Read {
                news,
                arrived,
                cursor: at,
                has_more,
            } = files.follow(scope, &from).await?
            else {
                return Ok(None);
            };
            let at = Position::of(&at);
            Ok(Some(match arrived.first() {
                None => (news, Stage::Following { after: at }, has_more),
                Some(folder) => {
                    let stage = Stage::Arriving {
                        after: *after,
                        at,
                        index: 0,
                        walk: Walk::of(*folder),
                    };
                    (news, stage, true)
                }
            }))
        }
        Stage::Arriving {
            after,
            at,
            index,
            walk,
        } => {
            let from = after.cursor(&head.cursor());
            let Step::Read { arrived, .. } = files.follow(scope, &from).await? else {
                return Ok(None);
            };
            let begin = (*index as usize, Some(walk.clone()));
            let (found, next) = files.arrivals(&arrived, at.seq, begin, limit).await?;
            let has_more = next.is_some() || at.seq < head.seq;
            let stage = match next {
                Some((index, walk)) => Stage::Arriving {
                    after: *after,
                    at: *at,
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                    walk,
                },
                None => Stage::Following { after: *at },
            };
            Ok(Some((here(found), stage, has_more)))
        }
    }
}

fn here(found: Vec<Located>) -> Vec<News> {
    found.into_iter().map(News::Here).collect()
}

/// News as clients read them.
async fn describe(call: &Call, news: Vec<News>) -> ApiResult<Vec<metadata::Metadata>> {
    let mut entries = Vec::with_capacity(news.len());
    let mut standing = Vec::new();
    for item in news {
        match item {
            News::Gone(names) => entries.push(metadata::deleted(&names)),
            News::Here(located) => standing.push(located),
        }
    }
    entries.extend(metadata::many(call, &standing).await?);
    Ok(entries)
}
