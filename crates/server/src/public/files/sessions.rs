//! `upload_session`: contents that come in several requests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_core::node::FileContent;
use cairn_metadata::{PieceOutcome, Upload, UploadId};
use futures::{StreamExt, TryStreamExt, stream};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::call::{Call, too_large};
use super::super::error::{self, ApiError, ApiResult};
use super::super::metadata::{self, FileMetadata};
use super::super::path;
use super::super::stone::{self, Union, nested, tag};
use super::answers::{Appended, Done, Entries, Entry, File, Session, Sessions};
use super::ends::parts;
use super::write::CommitInfo;
use crate::body::BodyReader;
use crate::service::files::{FileError, Ingest, Ingested, Put, Target};

const PREFIX: &str = "pid_upload_session:";
/// Pieces of a concurrent session begin at a multiple of it, and all but the last are as long.
const BLOCK: u64 = 4 << 20;
/// Entries of one batch, as Dropbox has it.
pub(super) const MOST_ENTRIES: usize = 1_000;
/// Entries of one batch of pieces.
const MOST_PIECES: usize = 500;
/// Sessions of a batch that are begun at once.
const BEGUN_AT_ONCE: usize = 100;
/// Pieces of a batch that are written down at once.
const WRITTEN_AT_ONCE: usize = 100;

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Start {
    #[serde(default)]
    close: bool,
    #[schemars(schema_with = "session_type")]
    #[serde(default)]
    session_type: Option<Union>,
    content_hash: Option<String>,
}

fn session_type(_: &mut SchemaGenerator) -> Schema {
    stone::one_of(&["sequential", "concurrent"])
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Cursor {
    session_id: String,
    offset: u64,
}

impl Cursor {
    /// What names the session.
    pub(super) fn session(&self) -> &str {
        &self.session_id
    }
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Append {
    cursor: Cursor,
    #[serde(default)]
    close: bool,
    content_hash: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Finish {
    cursor: Cursor,
    commit: CommitInfo,
    content_hash: Option<String>,
}

impl Finish {
    pub(super) const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    pub(super) const fn commit(&self) -> &CommitInfo {
        &self.commit
    }
}

/// `files/upload_session/start`
pub(in super::super) async fn start(call: Call, argument: Start, body: BodyReader) -> ApiResult<Session> {
    let concurrent = is_concurrent(argument.session_type.as_ref())?;
    let content = receive(&call, body, argument.content_hash.as_deref())
        .await?
        .content;
    if concurrent && content.size > 0 {
        return Err(ApiError::Route(tag("concurrent_session_data_not_allowed")));
    }
    if concurrent && argument.close {
        return Err(ApiError::Route(tag("concurrent_session_close_not_allowed")));
    }
    let id = begin(&call, concurrent).await?;
    if content.size > 0 || argument.close {
        let added = call.files().add_piece(id, 0, &content, argument.close).await;
        added.map_err(service)?;
    }
    let session_id = text(id);
    Ok(Session { session_id })
}

/// `files/upload_session/append_v2`
pub(in super::super) async fn append(call: Call, argument: Append, body: BodyReader) -> ApiResult<()> {
    let upload = find(&call, &argument.cursor).await?.ok_or_else(not_found)?;
    // Before the bytes are read: they may be many.
    check_start(&upload, argument.cursor.offset).map_err(ApiError::Route)?;
    let content = receive(&call, body, argument.content_hash.as_deref())
        .await?
        .content;
    let added = add(&call, &upload, argument.cursor.offset, &content, argument.close).await?;
    added.map_err(ApiError::Route)
}

/// `files/upload_session/finish`
pub(in super::super) async fn finish(call: Call, argument: Finish, body: BodyReader) -> ApiResult<File> {
    let lookup = |error| ApiError::Route(nested("lookup_failed", error));
    let found = find(&call, &argument.cursor).await?;
    let mut upload = found.ok_or_else(|| lookup(tag("not_found")))?;
    let offset = argument.cursor.offset;
    if !upload.concurrent && offset != upload.size {
        return Err(lookup(incorrect_offset(upload.size)));
    }
    let received = receive(&call, body, argument.content_hash.as_deref()).await;
    let content = received.map_err(|error| error.of_write("path"))?.content;
    if content.size > 0 {
        if upload.concurrent {
            return Err(ApiError::Route(tag("concurrent_session_data_not_allowed")));
        }
        let added = add(&call, &upload, offset, &content, false).await?;
        added.map_err(lookup)?;
        upload.size += content.size;
    }
    if upload.concurrent && upload.total.is_none() {
        return Err(ApiError::Route(tag("concurrent_session_not_closed")));
    }
    let committed = commit(&call, &upload, &argument.commit).await;
    committed.map(File::File)
}

/// A session that has all its bytes; the inner error is an `UploadSessionLookupError`.
pub(in super::super) async fn closed(call: &Call, cursor: &Cursor) -> ApiResult<Result<Upload, Value>> {
    let Some(upload) = find(call, cursor).await? else {
        return Ok(Err(tag("not_found")));
    };
    if upload.total.is_none() {
        return Ok(Err(tag("not_closed")));
    }
    match cursor.offset == upload.size {
        true => Ok(Ok(upload)),
        false => Ok(Err(incorrect_offset(upload.size))),
    }
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct StartBatch {
    #[schemars(range(min = 1, max = MOST_ENTRIES))]
    num_sessions: usize,
    #[schemars(schema_with = "session_type")]
    #[serde(default)]
    session_type: Option<Union>,
}

/// `files/upload_session/start_batch`
pub(in super::super) async fn start_batch(call: Call, argument: StartBatch) -> ApiResult<Sessions> {
    if !(1..=MOST_ENTRIES).contains(&argument.num_sessions) {
        return Err(ApiError::BadInput(format!(
            "num_sessions: must be 1 to {MOST_ENTRIES}"
        )));
    }
    let concurrent = is_concurrent(argument.session_type.as_ref())?;
    // Those that wait together are written together.
    let call = &call;
    let begun = stream::iter(0..argument.num_sessions).map(|_| begin(call, concurrent));
    let begun: Vec<UploadId> = begun.buffered(BEGUN_AT_ONCE).try_collect().await?;
    let session_ids = begun.into_iter().map(text).collect();
    Ok(Sessions { session_ids })
}

#[derive(Deserialize, JsonSchema)]
struct BatchPiece {
    cursor: Cursor,
    length: u64,
    #[serde(default)]
    close: bool,
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct AppendBatch {
    #[schemars(length(max = MOST_PIECES))]
    entries: Vec<BatchPiece>,
    content_hash: Option<String>,
}

/// `files/upload_session/append_batch`: one body for pieces of several sessions. Nothing is kept when the body is not what was
/// announced.
pub(in super::super) async fn append_batch(
    call: Call,
    argument: AppendBatch,
    mut body: BodyReader,
) -> ApiResult<Entries<Appended>> {
    if argument.entries.len() > MOST_PIECES {
        return Err(ApiError::BadInput(format!("entries: at most {MOST_PIECES}")));
    }
    let mut whole = cairn_core::content_hash::ContentHasher::new();
    let mut pieces: Vec<FileContent> = Vec::with_capacity(argument.entries.len());
    let mut rest = bytes::Bytes::new();
    let mut ingest = Ingest::new(&call.state, call.caller.author(), call.namespace());
    for entry in &argument.entries {
        let mut left = entry.length;
        while left > 0 {
            if rest.is_empty() {
                let block = body.next().await.map_err(too_large)?;
                rest = block.ok_or_else(|| ApiError::Route(tag("length_mismatch")))?;
                whole.update(&rest);
            }
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            ingest.write(&rest.split_to(take)).await?;
            left -= take as u64;
        }
        pieces.push(ingest.end().await?);
    }
    if !rest.is_empty() || body.next().await.map_err(too_large)?.is_some() {
        return Err(ApiError::Route(tag("length_mismatch")));
    }
    let found = whole.finish().to_string();
    if argument.content_hash.is_some_and(|claimed| claimed != found) {
        return Err(ApiError::Route(tag("content_hash_mismatch")));
    }
    ingest.keep().await?;
    let mut pieces = pieces.as_slice();
    let mut entries = Vec::with_capacity(pieces.len());
    for part in parts(&argument.entries, |entry| &entry.cursor) {
        let (now, later) = pieces.split_at(part.len());
        pieces = later;
        // Those that wait together are written together.
        let waiting = part.iter().zip(now);
        let waiting: Vec<_> = waiting
            .map(|(entry, piece)| append_entry(&call, entry, piece))
            .collect();
        let added = stream::iter(waiting).buffered(WRITTEN_AT_ONCE);
        entries.extend(added.try_collect::<Vec<Appended>>().await?);
    }
    Ok(Entries { entries })
}

async fn append_entry(call: &Call, entry: &BatchPiece, piece: &FileContent) -> ApiResult<Appended> {
    let added = match find(call, &entry.cursor).await? {
        None => Err(tag("not_found")),
        Some(upload) => add(call, &upload, entry.cursor.offset, piece, entry.close).await?,
    };
    Ok(match added {
        Ok(()) => Entry::Success(Done {}),
        Err(error) => Entry::failure(error),
    })
}

fn is_concurrent(kind: Option<&Union>) -> ApiResult<bool> {
    match kind.map_or("sequential", Union::tag) {
        "sequential" => Ok(false),
        "concurrent" => Ok(true),
        other => Err(ApiError::BadInput(format!("session_type: {other:?} is none"))),
    }
}

async fn begin(call: &Call, concurrent: bool) -> ApiResult<UploadId> {
    match call.files().begin_upload(concurrent).await {
        Ok(id) => Ok(id),
        Err(FileError::Service(error)) => Err(error.into()),
        Err(_) => Err(ApiError::BadInput(
            "this account has too many open upload sessions".into(),
        )),
    }
}

/// Takes a body in and checks what it was promised to be.
async fn receive(call: &Call, mut body: BodyReader, claimed: Option<&str>) -> ApiResult<Ingested> {
    let mut ingest = Ingest::new(&call.state, call.caller.author(), call.namespace());
    while let Some(block) = body.next().await.map_err(too_large)? {
        ingest.write(&block).await?;
    }
    let ingested = ingest.finish().await?;
    let found = ingested.content.content_hash.to_string();
    match claimed {
        Some(claimed) if claimed != found => Err(ApiError::Route(tag("content_hash_mismatch"))),
        _ => Ok(ingested),
    }
}

async fn find(call: &Call, cursor: &Cursor) -> ApiResult<Option<Upload>> {
    match parse(&cursor.session_id) {
        None => Ok(None),
        Some(id) => call.files().find_upload(id).await.map_err(service),
    }
}

/// Adds a piece; the inner error is a member of the route's own union.
async fn add(
    call: &Call,
    upload: &Upload,
    start: u64,
    content: &FileContent,
    closes: bool,
) -> ApiResult<Result<(), Value>> {
    if let Err(error) = check_start(upload, start) {
        return Ok(Err(error));
    }
    if upload.concurrent && !closes && !content.size.is_multiple_of(BLOCK) {
        return Ok(Err(tag("concurrent_session_invalid_data_size")));
    }
    let added = call.files().add_piece(upload.id, start, content, closes).await;
    Ok(match added.map_err(service)? {
        PieceOutcome::Added => Ok(()),
        PieceOutcome::Unknown => Err(tag("not_found")),
        PieceOutcome::Closed => Err(tag("closed")),
        PieceOutcome::WrongStart { size } => Err(incorrect_offset(size)),
    })
}

fn check_start(upload: &Upload, start: u64) -> Result<(), Value> {
    if upload.concurrent {
        return match start.is_multiple_of(BLOCK) {
            true => Ok(()),
            false => Err(tag("concurrent_session_invalid_offset")),
        };
    }
    if upload.total.is_some() {
        return Err(tag("closed"));
    }
    match start == upload.size {
        true => Ok(()),
        false => Err(incorrect_offset(upload.size)),
    }
}

/// Puts what has come where it goes. The session stays for another try when that fails.
async fn commit(call: &Call, upload: &Upload, info: &CommitInfo) -> ApiResult<FileMetadata> {
    let (target, ingested, how) = put_of(call, upload, info).await?;
    let located = call.files().put(&target, &ingested, &how).await;
    let located = located.map_err(|error| error::write("path", error))?;
    end_session(call, upload.id).await;
    metadata::file(call, &located).await
}

/// What has come, where it goes and how.
pub(super) async fn put_of(
    call: &Call,
    upload: &Upload,
    info: &CommitInfo,
) -> ApiResult<(Target, Ingested, Put)> {
    let shape = |error| error::write("path", error);
    let how = info.how(call)?;
    let target = path::parse_new(info.path(), call.namespace()).map_err(|error| error.or(shape))?;
    let assembled = call.files().assemble(upload).await.map_err(shape)?;
    let ingested = assembled.ok_or_else(|| ApiError::Route(tag("concurrent_session_missing_data")))?;
    Ok((target, ingested, how))
}

/// Forgets a session whose file is there. What is left over is forgotten with its time.
pub(super) async fn end_session(call: &Call, id: UploadId) {
    if let Err(error) = call.files().end_upload(id).await {
        tracing::warn!(%error, "an upload that was committed is kept");
    }
}

fn service(error: FileError) -> ApiError {
    match error {
        FileError::Service(error) => error.into(),
        other => ApiError::BadInput(other.to_string()),
    }
}

fn not_found() -> ApiError {
    ApiError::Route(tag("not_found"))
}

fn incorrect_offset(size: u64) -> Value {
    json!({ ".tag": "incorrect_offset", "correct_offset": size })
}

fn text(id: UploadId) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(id.0))
}

fn parse(text: &str) -> Option<UploadId> {
    let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
    bytes.try_into().ok().map(UploadId)
}
