//! Temporary upload links: addresses under which whoever has them may put one file, once.
//!
//! A link holds all that it needs and is signed. That it works once is seen to by an upload session that it ends: the store
//! tells of it to one request alone.

use std::sync::Arc;

use axum::extract::{Path, Request, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cairn_core::ids::{AccountId, DeviceId, NamespaceId, NodeId};
use cairn_core::rev::Rev;
use cairn_core::time::Timestamp;
use cairn_metadata::UploadId;
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::call::{Call, UPLOAD_BYTES};
use super::error::{self, ApiError, ApiResult, json_response};
use super::files::CommitInfo;
use super::path;
use super::sealed::Seal;
use crate::auth::Author;
use crate::body::BodyReader;
use crate::error::ServiceError;
use crate::service::browse;
use crate::service::files::{FileError, Files, Ingest, Mode, Put};
use crate::state::State;

/// Where they are answered.
pub(crate) const PREFIX: &str = "/u/";
pub(super) const ROUTE: &str = "/u/{link}";
const VERSION: u8 = 1;
/// The longest has a path, and room to spare.
const SEAL: Seal = Seal {
    context: "cairn 2026 temporary upload link v1",
    most_chars: 24 << 10,
};
/// Letters of the path of one: it stands in an address.
const PATH_BYTES: usize = 8 << 10;
/// Seconds that a link works at least, and at most.
const LEAST: f64 = 60.0;
const MOST: f64 = 14_400.0;

#[derive(Encode, Decode)]
struct Wire {
    #[n(0)]
    version: u8,
    #[n(1)]
    namespace: i64,
    #[n(2)]
    account: i64,
    #[n(3)]
    device: i64,
    #[n(4)]
    home: i64,
    #[n(5)]
    upload: ByteArray<16>,
    #[n(6)]
    expires_at_ms: i64,
    #[n(7)]
    path: String,
    /// 0: add; 1: overwrite; 2: update.
    #[n(8)]
    mode: u8,
    #[n(9)]
    rev: Option<String>,
    #[n(10)]
    autorename: bool,
    #[n(11)]
    strict: bool,
    #[n(12)]
    modified: Option<i64>,
    #[n(13)]
    copy_suffix: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct GetUploadLink {
    commit_info: CommitInfo,
    /// Seconds for which it works.
    #[schemars(range(min = LEAST, max = MOST))]
    #[serde(default = "usual")]
    duration: f64,
}

const fn usual() -> f64 {
    MOST
}

/// An address to send a file to.
#[derive(Serialize, JsonSchema)]
pub(super) struct UploadLink {
    link: String,
}

/// `files/get_temporary_upload_link`
pub(super) async fn get(call: Call, argument: GetUploadLink) -> ApiResult<UploadLink> {
    if !(LEAST..=MOST).contains(&argument.duration) {
        return Err(ApiError::BadInput(format!("duration: must be {LEAST} to {MOST}")));
    }
    let put = argument.commit_info.how(&call)?;
    let path = argument.commit_info.path();
    if path.len() > PATH_BYTES {
        return Err(ApiError::BadInput(format!("path: at most {PATH_BYTES} bytes")));
    }
    // Whoever sends the file cannot mend it.
    let wrong = |error: FileError| ApiError::BadInput(format!("path: {error}"));
    path::parse_new(path, call.namespace()).map_err(|error| error.or(wrong))?;
    let (mode, rev) = match &put.mode {
        Mode::Add => (0, None),
        Mode::Overwrite => (1, None),
        Mode::Update(rev) => (2, rev.map(|rev| rev.to_string())),
    };
    let files = call.files();
    let upload = files.begin_upload(false).await.map_err(|error| match error {
        FileError::Service(error) => error.into(),
        _ => ApiError::BadInput("this account has too many open upload sessions".into()),
    })?;
    let head = browse::head(&call.state, call.namespace()).await?;
    let now = call.state.runtime.clock.now();
    let wire = Wire {
        version: VERSION,
        namespace: call.namespace().get(),
        account: call.account.id.get(),
        device: call.caller.device.get(),
        home: files.home.get(),
        upload: upload.0.into(),
        expires_at_ms: now.plus_millis((argument.duration * 1_000.0) as i64).as_millis(),
        path: path.to_owned(),
        mode,
        rev,
        autorename: put.autorename,
        strict: put.strict,
        modified: put.modified,
        copy_suffix: put.copy_suffix,
    };
    let base = call.base_url()?;
    let link = format!("{base}{PREFIX}{}", SEAL.write(&wire, &head.incarnation));
    Ok(UploadLink { link })
}

/// `POST /u/LINK`: the file. 404 for what is no link, 410 for one that was used or whose time is over, 409 where the file cannot
/// be put.
pub(super) async fn open(
    Shared(state): Shared<Arc<State>>,
    Path(link): Path<String>,
    request: Request,
) -> Response {
    match answer(&state, &link, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer(state: &Arc<State>, link: &str, request: Request) -> ApiResult<Response> {
    let over = || (StatusCode::GONE, "This link was used, or its time is over.\n").into_response();
    let unknown = || (StatusCode::NOT_FOUND, "There is no such link.\n").into_response();
    let Some(wire) = read(state, link).await? else {
        return Ok(unknown());
    };
    let ids = (
        NamespaceId::new(wire.namespace),
        AccountId::new(wire.account),
        DeviceId::new(wire.device),
        NodeId::new(wire.home),
    );
    let (Ok(namespace), Ok(account), Ok(device), Ok(home)) = ids else {
        return Ok(unknown());
    };
    if Timestamp::from_millis(wire.expires_at_ms) <= state.runtime.clock.now()
        || !may_still(state, account, device).await?
    {
        return Ok(over());
    }
    let author = Author { account, device };
    let files = Files {
        state,
        namespace,
        home,
        author,
    };
    let upload = UploadId(wire.upload.into());
    if files.find_upload(upload).await.map_err(broken)?.is_none() {
        return Ok(over());
    }
    let full = |error: ServiceError| ApiError::Service(error).of_write("path");
    let mut body = BodyReader::new(request, UPLOAD_BYTES, state)?;
    let mut ingest = Ingest::new(state, author, namespace);
    while let Some(block) = body.next().await? {
        ingest.write(&block).await.map_err(full)?;
    }
    let ingested = ingest.finish().await.map_err(full)?;
    // Of several who send at once, one has it.
    let is_first = state.metadata.end_upload(account, upload).await?;
    if !is_first {
        return Ok(over());
    }
    let shape = |error| error::write("path", error);
    let target = path::parse_new(&wire.path, namespace).map_err(|error| error.or(shape))?;
    files.put(&target, &ingested, &how(wire)).await.map_err(shape)?;
    let hash = ingested.content.content_hash.to_string();
    Ok(json_response(StatusCode::OK, &json!({ "content-hash": hash })))
}

/// Reads a link and believes it.
async fn read(state: &State, link: &str) -> ApiResult<Option<Wire>> {
    let Some(text) = SEAL.read::<Wire>(link) else {
        return Ok(None);
    };
    let Ok(namespace) = NamespaceId::new(text.claim().namespace) else {
        return Ok(None);
    };
    let Some(head) = state.metadata.head(namespace).await? else {
        return Ok(None);
    };
    let wire = SEAL.prove(text, &head.incarnation);
    Ok(wire.filter(|wire| wire.version == VERSION))
}

/// Whether the one who made a link may still write.
async fn may_still(state: &State, account: AccountId, device: DeviceId) -> ApiResult<bool> {
    let owner = state.metadata.account(account).await?;
    if owner.is_none_or(|owner| owner.is_disabled) {
        return Ok(false);
    }
    let devices = state.metadata.devices(account).await?;
    Ok(devices.iter().any(|known| known.id == device))
}

fn how(wire: Wire) -> Put {
    let rev: Option<Rev> = wire.rev.and_then(|rev| rev.parse().ok());
    Put {
        mode: match wire.mode {
            1 => Mode::Overwrite,
            2 => Mode::Update(rev),
            _ => Mode::Add,
        },
        autorename: wire.autorename,
        strict: wire.strict,
        modified: wire.modified,
        copy_suffix: wire.copy_suffix,
    }
}

fn broken(error: FileError) -> ApiError {
    match error {
        FileError::Service(error) => error.into(),
        other => ApiError::BadInput(other.to_string()),
    }
}
