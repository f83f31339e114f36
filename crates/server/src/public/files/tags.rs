//! `tags/*`: words that people give to files and folders.

use cairn_core::ids::NodeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::call::Call;
use super::super::error::{self, ApiError, ApiResult};
use super::super::path;
use super::super::stone::tag;
use crate::service::files::FileError;

/// Tags of one file or folder, as Dropbox has it.
const MOST_TAGS: usize = 20;
/// Letters of a tag.
const TAG_CHARS: usize = 32;
/// Paths of one question.
const MOST_PATHS: usize = 1_000;

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct TagArgument {
    #[schemars(extend("pattern" = path::READ))]
    path: String,
    /// Letters, digits and underscores.
    #[schemars(length(min = 1, max = TAG_CHARS))]
    tag_text: String,
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct GetTags {
    #[schemars(length(max = MOST_PATHS), inner(regex(pattern = path::READ)))]
    paths: Vec<String>,
}

/// The tags of what was asked for, in the same order.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PathsToTags {
    paths_to_tags: Vec<PathToTags>,
}

/// The tags of one file or folder.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PathToTags {
    /// As it was asked for.
    path: String,
    tags: Vec<Tag>,
}

/// A tag.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub(crate) enum Tag {
    /// One that a person gave.
    UserGeneratedTag { tag_text: String },
}

/// `files/tags/add`
pub(in super::super) async fn add(call: Call, argument: TagArgument) -> ApiResult<()> {
    let text = text_of(&argument)?;
    let node = find(&call, &argument.path).await?;
    let metadata = &call.state.metadata;
    match metadata.add_tag(call.namespace(), node, &text, MOST_TAGS).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(ApiError::Route(tag("too_many_tags"))),
        Err(error) => Err(crate::error::ServiceError::from(error).into()),
    }
}

/// `files/tags/remove`
pub(in super::super) async fn remove(call: Call, argument: TagArgument) -> ApiResult<()> {
    let text = text_of(&argument)?;
    let node = find(&call, &argument.path).await?;
    match call
        .state
        .metadata
        .remove_tag(call.namespace(), node, &text)
        .await
    {
        Ok(true) => Ok(()),
        Ok(false) => Err(ApiError::Route(tag("tag_not_present"))),
        Err(error) => Err(crate::error::ServiceError::from(error).into()),
    }
}

/// `files/tags/get`
pub(in super::super) async fn get(call: Call, argument: GetTags) -> ApiResult<PathsToTags> {
    if argument.paths.len() > MOST_PATHS {
        return Err(ApiError::BadInput(format!("paths: at most {MOST_PATHS}")));
    }
    let mut nodes = Vec::with_capacity(argument.paths.len());
    for path in &argument.paths {
        nodes.push(find(&call, path).await?);
    }
    let tags = call.state.metadata.tags(call.namespace(), &nodes).await;
    let tags = tags.map_err(crate::error::ServiceError::from)?;
    let user_generated = |tag_text| Tag::UserGeneratedTag { tag_text };
    let all = argument.paths.into_iter().zip(tags);
    let all = all.map(|(path, tags)| PathToTags {
        path,
        tags: tags.into_iter().map(user_generated).collect(),
    });
    Ok(PathsToTags {
        paths_to_tags: all.collect(),
    })
}

async fn find(call: &Call, text: &str) -> ApiResult<NodeId> {
    let shape = |error: FileError| error::lookup("path", error);
    let target = path::parse(text, call.namespace()).map_err(|error| error.or(shape))?;
    let found = call.files().find(&target).await.map_err(shape)?;
    Ok(found.node().map_err(shape)?.node.id)
}

/// A tag as it is kept: in lower case.
fn text_of(argument: &TagArgument) -> ApiResult<String> {
    let text = &argument.tag_text;
    let is_tag = (1..=TAG_CHARS).contains(&text.chars().count())
        && text
            .chars()
            .all(|letter| letter.is_alphanumeric() || letter == '_');
    match is_tag {
        true => Ok(text.to_lowercase()),
        false => Err(ApiError::BadInput(format!(
            "tag_text: must be 1 to {TAG_CHARS} letters, digits and underscores"
        ))),
    }
}
