//! Earlier states of a file.

use cairn_core::node::Content;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::call::Call;
use super::super::error::{self, ApiError, ApiResult};
use super::super::stone::tag;
use super::super::{metadata, path};
use super::answers::{File, Revisions};
use crate::service::files::{FileError, Located, Target};

/// States of one answer at most, as Dropbox has it.
const MOST: u32 = 100;
const USUAL: u32 = 10;

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct ListRevisions {
    #[schemars(extend("pattern" = path::READ))]
    path: String,
    #[schemars(range(min = 1, max = MOST))]
    limit: Option<u32>,
    #[schemars(extend("pattern" = path::REV))]
    before_rev: Option<String>,
}

/// `files/list_revisions`: newest first. A file keeps its id over moves, so both modes tell the same.
pub(in super::super) async fn list_revisions(call: Call, argument: ListRevisions) -> ApiResult<Revisions> {
    let shape = |error| error::lookup("path", error);
    let limit = argument.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(ApiError::BadInput(format!("limit: must be 1 to {MOST}")));
    }
    let target = path::parse(&argument.path, call.namespace()).map_err(|error| error.or(shape))?;
    let before = argument.before_rev.as_deref().map(path::parse_rev).transpose();
    let before = before
        .map_err(|error| error.or(shape))?
        .map(|rev| rev.content_seq);
    let files = call.files();
    let (located, is_deleted) = match files.find(&target).await {
        Ok(spot) => (
            metadata::spot(spot).ok_or_else(|| shape(FileError::NotFile))?,
            false,
        ),
        Err(FileError::NotFound) => (gone(&call, &target).await.map_err(shape)?, true),
        Err(error) => return Err(shape(error)),
    };
    let is_deleted = is_deleted || located.folders.is_none();
    if located.node.content == Content::Directory {
        return Err(shape(FileError::NotFile));
    }
    let revisions = files.revisions(located.node.id, before, limit as usize).await;
    let (nodes, has_more) = revisions.map_err(shape)?;
    let states: Vec<Located> = nodes
        .into_iter()
        .map(|node| Located {
            node,
            folders: located.folders.clone(),
        })
        .collect();
    let entries = metadata::tagged_files(&call, &states).await?;
    Ok(Revisions {
        is_deleted,
        entries,
        has_more,
    })
}

/// What stood on a path, as if it did, or had an id.
async fn gone(call: &Call, target: &Target) -> Result<Located, FileError> {
    if let Target::Node { node, below } = target
        && below.is_empty()
        // Nothing says any more whether it stood in the folder of a confined app.
        && !call.is_confined()
    {
        let (nodes, _) = call.files().revisions(*node, None, 1).await?;
        let node = nodes.into_iter().next().ok_or(FileError::NotFound)?;
        return Ok(Located { node, folders: None });
    }
    let mut node = call.files().find_last(target).await?;
    let folders = match target {
        Target::Path(names) => names.split_last().map(|(name, above)| {
            node.place.name = name.clone();
            above.to_vec()
        }),
        _ => None,
    };
    Ok(Located { node, folders })
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Restore {
    #[schemars(extend("pattern" = path::NEW))]
    path: String,
    #[schemars(extend("pattern" = path::REV))]
    rev: String,
}

/// `files/restore`
pub(in super::super) async fn restore(call: Call, argument: Restore) -> ApiResult<File> {
    let invalid = |_| ApiError::Route(tag("invalid_revision"));
    let rev = path::parse_rev(&argument.rev).map_err(|error| error.or(invalid))?;
    let at = |error| error::write("path_write", error);
    let target = path::parse_new(&argument.path, call.namespace()).map_err(|error| error.or(at))?;
    let files = call.files();
    files.revision(&rev).await.map_err(|error| match error {
        FileError::Service(error) => error.into(),
        other => invalid(other),
    })?;
    let located = files.restore(&target, &rev).await.map_err(|error| match error {
        FileError::NotFile | FileError::NotFound => error::lookup("path_lookup", error),
        other => at(other),
    })?;
    metadata::tagged_file(&call, &located).await
}
