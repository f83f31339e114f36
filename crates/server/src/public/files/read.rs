//! What stands on a path, and its bytes.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cairn_core::node::{Content, FileContent};
use futures::{Stream, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::super::call::{Call, header_json, header_text};
use super::super::error::{self, ApiError, ApiResult};
use super::super::metadata::{self, Metadata};
use super::super::range::{self, Wanted};
use super::super::{links, media, path};
use super::answers::TemporaryLink;
use crate::error::ServiceError;
use crate::service::files::{self, FileError, Located, Target};
use crate::state::State;

/// Header with the metadata of what is sent.
pub(in super::super) const RESULT: &str = "dropbox-api-result";

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct GetMetadata {
    #[schemars(extend("pattern" = path::READ))]
    path: String,
    #[serde(default)]
    include_deleted: bool,
    /// Whether it is told what a picture tells of itself.
    #[serde(default)]
    include_media_info: bool,
}

/// `files/get_metadata`
pub(in super::super) async fn get_metadata(call: Call, argument: GetMetadata) -> ApiResult<Metadata> {
    let shape = |error| error::lookup("path", error);
    let target = path::parse(&argument.path, call.namespace()).map_err(|error| error.or(shape))?;
    let found = match call.files().find(&target).await {
        Err(FileError::NotFound) if argument.include_deleted => {
            return gone(&call, &target).await.map_err(shape);
        }
        found => found.map_err(shape)?,
    };
    let located = metadata::spot(found)
        .ok_or_else(|| ApiError::BadInput("path: the root folder is unsupported".into()))?;
    let mut metadata = metadata::one(&call, &located).await?;
    if argument.include_media_info {
        metadata.tell_media(media::info(&call, &located.node).await?);
    }
    Ok(metadata)
}

/// What stood on a path.
async fn gone(call: &Call, target: &Target) -> Result<Metadata, FileError> {
    let node = call.files().find_last(target).await?;
    let names = match target {
        Target::Path(names) => names.clone(),
        _ => vec![node.place.name],
    };
    Ok(metadata::deleted(&names))
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct GetTemporaryLink {
    #[schemars(extend("pattern" = path::READ))]
    path: String,
}

/// `files/get_temporary_link`
pub(in super::super) async fn temporary_link(
    call: Call,
    argument: GetTemporaryLink,
) -> ApiResult<TemporaryLink> {
    let located = file(&call, &argument.path).await?;
    let link = links::path_to(&call.state, call.namespace(), &located.node).await?;
    let link = format!("{}{link}", call.base_url()?);
    let metadata = metadata::tagged_file(&call, &located).await?;
    Ok(TemporaryLink { metadata, link })
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Download {
    #[schemars(extend("pattern" = path::READ))]
    path: String,
    #[schemars(extend("pattern" = path::REV))]
    rev: Option<String>,
}

/// `files/download`
pub(in super::super) async fn download(call: Call, argument: Download) -> ApiResult<Response> {
    let text = argument.rev.map_or(argument.path, |rev| format!("rev:{rev}"));
    let located = file(&call, &text).await?;
    respond_with(&call, &located).await
}

/// Answers with what a file holds, and what it is.
pub(in super::super) async fn respond_with(call: &Call, located: &Located) -> ApiResult<Response> {
    let result = metadata::tagged_file(call, located).await?;
    let etag = format!("\"{}\"", metadata::rev(call, &located.node));
    let mut response = match &located.node.content {
        Content::File(file) => send(&call.state, &call.headers, file.clone(), &etag).await?,
        // What a link points to is on no server.
        _ => Body::empty().into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Ok(value) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, value);
    }
    if let Ok(value) = HeaderValue::from_str(&header_json(&result)) {
        headers.insert(RESULT, value);
    }
    Ok(response)
}

/// A file, in any of its states.
pub(in super::super) async fn file(call: &Call, text: &str) -> ApiResult<Located> {
    let shape = |error| error::lookup("path", error);
    let target = path::parse(text, call.namespace()).map_err(|error| error.or(shape))?;
    let found = call.files().find(&target).await.map_err(shape)?;
    let located = metadata::spot(found).ok_or_else(|| shape(FileError::NotFile))?;
    match located.node.content {
        Content::Directory => Err(shape(FileError::NotFile)),
        Content::File(_) | Content::Symlink(_) => Ok(located),
    }
}

/// Answers with a content, or with the part of it that the headers ask for.
pub(in super::super) async fn send(
    state: &Arc<State>,
    headers: &HeaderMap,
    file: FileContent,
    etag: &str,
) -> ApiResult<Response> {
    let size = file.size;
    let has_it = header_text(headers, &header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == etag));
    if has_it {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let (status, range) = match range::parse(header_text(headers, &header::RANGE), size) {
        Wanted::All => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => {
            let headers = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
    };
    let mut values = vec![(header::CONTENT_LENGTH, (range.end - range.start).to_string())];
    if status == StatusCode::PARTIAL_CONTENT {
        let (first, last) = (range.start, range.end - 1);
        values.push((header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}")));
    }
    let blocks = files::content(state, file, range).await?;
    let mut response = (status, Body::from_stream(body_of(blocks))).into_response();
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// The blocks of a body that is being made.
pub(in super::super) fn body_of(
    blocks: mpsc::Receiver<Result<Bytes, ServiceError>>,
) -> impl Stream<Item = Result<Bytes, ServiceError>> {
    stream::unfold(blocks, |mut blocks| async move {
        let block = blocks.recv().await?;
        Some((block, blocks))
    })
}
