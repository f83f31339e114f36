//! `files/signature` and `files/upload_delta`: an edit of a large file as what changed in it.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use cairn_core::node::{Content, FileContent};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::call::{Call, header_json, too_large};
use super::super::error::{self, ApiError, ApiResult};
use super::super::files::answers::File;
use super::super::files::{self, CommitInfo, RESULT};
use super::super::stone::tag;
use super::super::{metadata, path};
use crate::body::BodyReader;
use crate::service::files::{
    self as service, BLOCK_MAX_BYTES, BLOCK_MIN_BYTES, DeltaError, FileError, Ingest, Located, Patch, Target,
};

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct SignatureArgument {
    #[schemars(extend("pattern" = path::READ))]
    path: String,
    /// Bytes of a block; as suits the file when missing.
    #[schemars(range(min = BLOCK_MIN_BYTES, max = BLOCK_MAX_BYTES))]
    block_size: Option<u32>,
}

/// `cairn/files/signature`
pub(in super::super) async fn signature(call: Call, argument: SignatureArgument) -> ApiResult<Response> {
    let bounds = BLOCK_MIN_BYTES..=BLOCK_MAX_BYTES;
    if argument.block_size.is_some_and(|block| !bounds.contains(&block)) {
        return Err(ApiError::BadInput(format!(
            "block_size: must be {BLOCK_MIN_BYTES} to {BLOCK_MAX_BYTES}"
        )));
    }
    let located = files::file(&call, &argument.path).await?;
    let content = content(&located).ok_or_else(|| error::lookup("path", FileError::NotFile))?;
    let block = argument
        .block_size
        .unwrap_or_else(|| service::usual_block(content.size));
    let result = metadata::tagged_file(&call, &located).await?;
    let len = service::signature_len(content.size, block);
    let blocks = service::signature(&call.state, content.clone(), block).await?;
    let mut response = Body::from_stream(files::body_of(blocks)).into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    if let Ok(value) = HeaderValue::from_str(&header_json(&result)) {
        headers.insert(RESULT, value);
    }
    Ok(response)
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct UploadDelta {
    #[serde(flatten)]
    commit: CommitInfo,
    /// The state whose signature the delta was made with.
    #[schemars(extend("pattern" = path::REV))]
    base_rev: String,
    /// Of the new content.
    content_hash: String,
}

/// `cairn/files/upload_delta`
pub(in super::super) async fn upload_delta(
    call: Call,
    argument: UploadDelta,
    mut body: BodyReader,
) -> ApiResult<File> {
    let shape = |error| error::write("path", error);
    let how = argument.commit.how(&call)?;
    let target = path::parse_new(argument.commit.path(), call.namespace());
    let target = target.map_err(|error| error.or(shape))?;
    let base = base(&call, &argument.base_rev).await?;
    let ingest = Ingest::new(&call.state, call.caller.author(), call.namespace());
    let mut patch = Patch::new(&call.state, base, ingest).await?;
    while let Some(block) = body.next().await.map_err(too_large)? {
        patch.write(&block).await.map_err(delta_error)?;
    }
    let ingested = patch.finish().map_err(delta_error)?.finish().await;
    let ingested = ingested.map_err(|error| shape(error.into()))?;
    if ingested.content.content_hash.to_string() != argument.content_hash {
        return Err(ApiError::Route(tag("content_hash_mismatch")));
    }
    let located = call.files().put(&target, &ingested, &how).await;
    metadata::tagged_file(&call, &located.map_err(shape)?).await
}

/// What a delta was made against.
async fn base(call: &Call, rev: &str) -> ApiResult<FileContent> {
    let shape = |error| error::lookup("base_lookup", error);
    let rev = path::parse_rev(rev).map_err(|error| error.or(shape))?;
    let spot = call.files().find(&Target::Revision(rev)).await.map_err(shape)?;
    let located = spot.node().map_err(shape)?;
    let content = content(&located).cloned();
    content.ok_or_else(|| shape(FileError::NotFile))
}

const fn content(located: &Located) -> Option<&FileContent> {
    match &located.node.content {
        Content::File(content) => Some(content),
        Content::Directory | Content::Symlink(_) => None,
    }
}

fn delta_error(error: DeltaError) -> ApiError {
    match error {
        DeltaError::Malformed => ApiError::Route(tag("malformed_delta")),
        DeltaError::OutOfBase => ApiError::Route(tag("out_of_base")),
        DeltaError::TooMuch => ApiError::Route(tag("too_much_copied")),
        DeltaError::Service(error) => too_large(error).of_write("path"),
    }
}
