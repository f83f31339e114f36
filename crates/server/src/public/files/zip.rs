//! `download_zip`: a folder as one archive.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cairn_core::node::Content;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::call::{Call, header_json, header_text};
use super::super::error::{self, ApiError, ApiResult};
use super::super::range::{self, Wanted};
use super::super::stone::tag;
use super::super::{metadata, path};
use super::answers::Wrapped;
use super::read::{RESULT, body_of};
use crate::service::browse;
use crate::service::files::FileError;

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct DownloadZip {
    #[schemars(extend("pattern" = path::READ))]
    path: String,
}

/// `files/download_zip`. The archive of a folder in one state is always the same, so a part of it can be asked for alone.
pub(in super::super) async fn download_zip(call: Call, argument: DownloadZip) -> ApiResult<Response> {
    let shape = |error| match error {
        FileError::TooManyFiles => ApiError::Route(tag("too_many_files")),
        other => error::lookup("path", other),
    };
    let target = path::parse(&argument.path, call.namespace()).map_err(|error| error.or(shape))?;
    let spot = call.files().find(&target).await.map_err(shape)?;
    let folder = metadata::spot(spot)
        .ok_or_else(|| ApiError::BadInput("path: the root folder is unsupported".into()))?;
    if folder.node.content != Content::Directory {
        return Err(shape(FileError::NotFolder));
    }
    let head = browse::head(&call.state, call.namespace()).await?;
    let archive = call.files().archive(&folder).await.map_err(shape)?;
    let metadata = metadata::one(&call, &folder).await?;
    let result = Wrapped { metadata };
    let len = archive.len;
    let etag = format!("\"zip-{}-{}\"", folder.node.id, head.seq);
    // A part of an archive that has changed since is of no use.
    let is_same = header_text(&call.headers, &header::IF_RANGE).is_none_or(|tag| tag == etag);
    let asked = header_text(&call.headers, &header::RANGE).filter(|_| is_same);
    let (status, range) = match range::parse(asked, len) {
        Wanted::All => (StatusCode::OK, 0..len),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => {
            let headers = [(header::CONTENT_RANGE, format!("bytes */{len}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
    };
    let mut values = vec![
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_LENGTH, (range.end - range.start).to_string()),
        (header::ETAG, etag),
        (header::HeaderName::from_static(RESULT), header_json(&result)),
    ];
    if status == StatusCode::PARTIAL_CONTENT {
        let content_range = format!("bytes {}-{}/{len}", range.start, range.end - 1);
        values.push((header::CONTENT_RANGE, content_range));
    }
    let blocks = archive.send(&call.state, range).await?;
    let mut response = (status, Body::from_stream(body_of(blocks))).into_response();
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}
