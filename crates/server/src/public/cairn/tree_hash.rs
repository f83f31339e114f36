//! `files/tree_hash`: one hash for all that a folder holds.

use cairn_api::sync::{HashedChild, HashedContent, TreeHashReply, TreeHashRequest};
use cairn_core::limits;
use cairn_core::name::NodeName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::call::Call;
use super::super::error::{self, ApiError, ApiResult};
use super::super::path::{self, file_id};
use super::at::{self, AsOf, At};
use crate::service::{browse, tree_hash};

/// What is known of a folder's hash.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub(in super::super) enum TreeHash {
    /// This is it.
    Complete { hash: String, as_of: AsOf },
    /// It takes longer than one call may: the same call, as of the position that is told, goes on with it.
    InProgress { folders: u64, as_of: AsOf },
    /// What it is made of, by name.
    Children {
        children: Vec<Child>,
        has_more: bool,
        as_of: AsOf,
    },
}

/// A child as it goes into the hash of its folder.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
#[schemars(rename = "TreeHashChild")]
pub(in super::super) enum Child {
    Folder {
        id: String,
        name: String,
        hash: String,
    },
    File {
        id: String,
        name: String,
        /// Equal for equal bytes.
        file_id: String,
        size: u64,
        executable: bool,
    },
    Symlink {
        id: String,
        name: String,
        target: String,
    },
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct TreeHashArgument {
    #[schemars(extend("pattern" = path::FOLDER))]
    path: String,
    at: Option<At>,
    #[serde(default)]
    children: bool,
    after: Option<String>,
    #[schemars(range(min = 1, max = limits::TREE_HASH_PAGE))]
    limit: Option<u32>,
}

/// `cairn/files/tree_hash`
pub(in super::super) async fn get(call: Call, argument: TreeHashArgument) -> ApiResult<TreeHash> {
    let shape = |error| error::lookup("path", error);
    let limit = argument.limit.unwrap_or(limits::TREE_HASH_PAGE as u32);
    if !(1..=limits::TREE_HASH_PAGE as u32).contains(&limit) {
        let most = limits::TREE_HASH_PAGE;
        return Err(ApiError::BadInput(format!("limit: must be 1 to {most}")));
    }
    let after = argument.after.map(NodeName::new).transpose();
    let after = after.map_err(|error| ApiError::BadInput(format!("after: {error}")))?;
    let at = match &argument.at {
        Some(at) => at.find(&call).await?,
        None => browse::head(&call.state, call.namespace()).await?.seq,
    };
    let target = at::parse(&argument.path, &call, path::parse_folder)?;
    let spot = call.files().find_at(&target, at).await.map_err(shape)?;
    let request = TreeHashRequest {
        namespace: call.namespace(),
        folder: spot.folder().map_err(shape)?,
        at,
        children: argument.children,
        after,
        limit,
    };
    let reply = tree_hash::tree_hash(&call.state, &call.caller, &request).await?;
    let as_of = at::as_of(&call, at).await?;
    Ok(match reply {
        TreeHashReply::Folder { hash } => TreeHash::Complete {
            hash: hash.to_string(),
            as_of,
        },
        TreeHashReply::Working { folders } => TreeHash::InProgress { folders, as_of },
        TreeHashReply::Children { children, has_more } => TreeHash::Children {
            children: children.into_iter().map(|child| describe(&call, child)).collect(),
            has_more,
            as_of,
        },
    })
}

fn describe(call: &Call, child: HashedChild) -> Child {
    let id = file_id(call.namespace(), child.node);
    let name = child.name.as_str().to_owned();
    match child.content {
        HashedContent::Folder { hash } => Child::Folder {
            id,
            name,
            hash: hash.to_string(),
        },
        HashedContent::File {
            file_id,
            size,
            executable,
        } => Child::File {
            id,
            name,
            file_id: file_id.to_string(),
            size,
            executable,
        },
        HashedContent::Symlink { target } => Child::Symlink { id, name, target },
    }
}
