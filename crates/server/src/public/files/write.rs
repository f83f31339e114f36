//! Puts, makes, moves, copies and deletes.

use cairn_core::rev::Rev;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, json};

use super::super::call::{Call, too_large};
use super::super::error::{self, ApiError, ApiResult, flattened};
use super::super::stone::{self, Union, tag};
use super::super::{metadata, path, users};
use super::answers::{File, Wrapped};
use crate::body::BodyReader;
use crate::error::ServiceError;
use crate::service::files::{FileError, Guarded, Ingest, Located, Mode, Put, Relocation, Side, Target};

/// How a file is put where it goes; the same for an upload and for the end of a session.
#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct CommitInfo {
    #[schemars(extend("pattern" = path::NEW))]
    path: String,
    #[schemars(schema_with = "write_mode")]
    #[serde(default)]
    mode: Option<Union>,
    #[serde(default)]
    autorename: bool,
    #[schemars(extend("pattern" = stone::TIME_PATTERN))]
    client_modified: Option<String>,
    #[serde(default)]
    strict_conflict: bool,
}

/// Writes a `WriteMode` down.
pub(in super::super) fn write_mode(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        stone::one_of(&["add", "overwrite"]),
        {
            "type": "object",
            "properties": {
                ".tag": { "const": "update" },
                "update": { "type": "string", "pattern": path::REV },
            },
            "required": [".tag", "update"],
        },
    ] })
}

impl CommitInfo {
    /// Where it goes.
    pub(in super::super) fn path(&self) -> &str {
        &self.path
    }

    /// Reads what it says; the error is one for programmers.
    pub(in super::super) fn how(&self, call: &Call) -> ApiResult<Put> {
        Ok(Put {
            mode: mode(self.mode.as_ref())?,
            autorename: self.autorename,
            strict: self.strict_conflict,
            modified: modified(self.client_modified.as_deref())?,
            copy_suffix: format!("{}'s conflicted copy", users::display_name(&call.account)),
        })
    }
}

/// Reads a `WriteMode`.
pub(in super::super) fn mode(mode: Option<&Union>) -> ApiResult<Mode> {
    match mode.map_or("add", Union::tag) {
        "add" => Ok(Mode::Add),
        "overwrite" => Ok(Mode::Overwrite),
        "update" => {
            let rev = mode.and_then(|mode| mode.text("update")).unwrap_or_default();
            match path::parse_rev(rev) {
                Ok(rev) => Ok(Mode::Update(Some(rev))),
                Err(path::PathError::Pattern(what)) => Err(ApiError::BadInput(what)),
                Err(path::PathError::File(_)) => Ok(Mode::Update(None)),
            }
        }
        other => Err(ApiError::BadInput(format!("mode: {other:?} is no write mode"))),
    }
}

/// Reads a `client_modified`.
pub(in super::super) fn modified(text: Option<&str>) -> ApiResult<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    let time = stone::parse_time(text);
    Ok(Some(time.ok_or_else(|| {
        ApiError::BadInput(format!(
            "client_modified: {text:?} is no time as 2026-11-22T10:00:00Z"
        ))
    })?))
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Upload {
    #[serde(flatten)]
    commit: CommitInfo,
    content_hash: Option<String>,
}

/// `files/upload`
pub(in super::super) async fn upload(call: Call, argument: Upload, mut body: BodyReader) -> ApiResult<File> {
    let how = argument.commit.how(&call)?;
    let target =
        path::parse_new(argument.commit.path(), call.namespace()).map_err(|error| error.or(upload_error))?;
    let full = |error: ServiceError| upload_error(error.into());
    let mut ingest = Ingest::new(&call.state, call.caller.author(), call.namespace());
    while let Some(block) = body.next().await.map_err(too_large)? {
        ingest.write(&block).await.map_err(full)?;
    }
    let ingested = ingest.finish().await.map_err(full)?;
    let found = ingested.content.content_hash.to_string();
    if argument.content_hash.is_some_and(|claimed| claimed != found) {
        return Err(ApiError::Route(tag("content_hash_mismatch")));
    }
    let located = call
        .files()
        .put(&target, &ingested, &how)
        .await
        .map_err(upload_error)?;
    metadata::tagged_file(&call, &located).await
}

/// An `UploadError`: why the file could not be put, and where its bytes wait. They wait nowhere.
fn upload_error(error: FileError) -> ApiError {
    match error::write_error(error) {
        Ok(reason) => {
            let fields = json!({ "reason": reason, "upload_session_id": "" });
            let fields: Map<_, _> = fields.as_object().cloned().unwrap_or_default();
            ApiError::Route(flattened("path", fields))
        }
        Err(error) => error,
    }
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct CreateFolder {
    #[schemars(extend("pattern" = path::NEW))]
    pub(super) path: String,
    #[serde(default)]
    pub(super) autorename: bool,
}

/// `files/create_folder_v2`
pub(in super::super) async fn create_folder(call: Call, argument: CreateFolder) -> ApiResult<Wrapped> {
    let made = make_folder(&call, &argument).await?;
    wrapped(&call, &made).await
}

/// Makes a folder.
pub(super) async fn make_folder(call: &Call, argument: &CreateFolder) -> ApiResult<Located> {
    let target = folder_target(call, argument)?;
    let made = call.files().make_folder(&target, argument.autorename).await;
    made.map_err(folder_error)
}

/// Where a folder is to be made.
pub(super) fn folder_target(call: &Call, argument: &CreateFolder) -> ApiResult<Target> {
    path::parse_new(&argument.path, call.namespace()).map_err(|error| error.or(folder_error))
}

/// Why a folder was not made.
pub(super) fn folder_error(error: FileError) -> ApiError {
    error::write("path", error)
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Delete {
    #[schemars(extend("pattern" = path::READ))]
    path: String,
    #[schemars(extend("pattern" = path::REV))]
    parent_rev: Option<String>,
}

/// `files/delete_v2`
pub(in super::super) async fn delete(call: Call, argument: Delete) -> ApiResult<Wrapped> {
    let deleted = remove(&call, &argument).await?;
    wrapped(&call, &deleted).await
}

/// Deletes; what it was.
pub(super) async fn remove(call: &Call, argument: &Delete) -> ApiResult<Located> {
    let (target, rev) = delete_target(call, argument)?;
    let deleted = call.files().delete(&target, rev.as_ref()).await;
    deleted.map_err(delete_error)
}

/// What is to be deleted, and in which state alone.
pub(super) fn delete_target(call: &Call, argument: &Delete) -> ApiResult<(Target, Option<Rev>)> {
    let target = path::parse(&argument.path, call.namespace()).map_err(|error| error.or(delete_error))?;
    let rev = argument.parent_rev.as_deref().map(path::parse_rev).transpose();
    let rev = rev.map_err(|error| error.or(delete_error))?;
    Ok((target, rev))
}

/// Why something was not deleted.
pub(super) fn delete_error(error: FileError) -> ApiError {
    match error {
        FileError::NotFound | FileError::NotFile | FileError::NotFolder | FileError::Malformed(_) => {
            error::lookup("path_lookup", error)
        }
        FileError::Contended => ApiError::Route(tag("too_many_write_operations")),
        other => error::write("path_write", other),
    }
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Relocate {
    #[schemars(extend("pattern" = path::READ))]
    pub(super) from_path: String,
    #[schemars(extend("pattern" = path::NEW))]
    pub(super) to_path: String,
    #[serde(default)]
    pub(super) autorename: bool,
}

impl Relocate {
    fn wanted(&self, call: &Call) -> ApiResult<Relocation> {
        let from = path::parse(&self.from_path, call.namespace());
        let to = path::parse_new(&self.to_path, call.namespace());
        Ok(Relocation {
            from: from.map_err(|error| error.or(|error| error::lookup("from_lookup", error)))?,
            to: to.map_err(|error| error.or(|error| error::write("to", error)))?,
            autorename: self.autorename,
        })
    }

    /// The same for one of several.
    pub(super) fn guarded(&self, call: &Call) -> ApiResult<Guarded> {
        let wanted = self.wanted(call)?;
        Ok(Guarded { wanted, rev: None })
    }
}

/// `files/move_v2`
pub(in super::super) async fn move_to(call: Call, argument: Relocate) -> ApiResult<Wrapped> {
    let moved = relocate_by_move(&call, &argument).await?;
    wrapped(&call, &moved).await
}

/// `files/copy_v2`
pub(in super::super) async fn copy_to(call: Call, argument: Relocate) -> ApiResult<Wrapped> {
    let copied = relocate_by_copy(&call, &argument).await?;
    wrapped(&call, &copied).await
}

/// Moves.
pub(super) async fn relocate_by_move(call: &Call, argument: &Relocate) -> ApiResult<Located> {
    let wanted = argument.wanted(call)?;
    let source = source(call, &wanted).await?;
    let moved = call.files().move_to(source, &wanted).await;
    moved.map_err(|error| move_error(Side::Target, error))
}

/// Copies.
pub(super) async fn relocate_by_copy(call: &Call, argument: &Relocate) -> ApiResult<Located> {
    let wanted = argument.wanted(call)?;
    let source = source(call, &wanted).await?;
    let copied = call.files().copy_to(source, &wanted).await;
    copied.map_err(|error| copy_error(Side::Target, error))
}

/// Why something was not moved.
pub(super) fn move_error(side: Side, error: FileError) -> ApiError {
    relocation_error(side, error, "cant_move_folder_into_itself")
}

/// Why something was not copied.
pub(super) fn copy_error(side: Side, error: FileError) -> ApiError {
    relocation_error(side, error, "duplicated_or_nested_paths")
}

async fn source(call: &Call, wanted: &Relocation) -> ApiResult<Located> {
    let found = call.files().source(wanted).await;
    found.map_err(|error| move_error(Side::Source, error))
}

fn relocation_error(side: Side, error: FileError, into_itself: &str) -> ApiError {
    match error {
        error if side == Side::Source => error::lookup("from_lookup", error),
        FileError::IntoItself => ApiError::Route(tag(into_itself)),
        FileError::TooManyFiles => ApiError::Route(tag("too_many_files")),
        FileError::Contended => ApiError::Route(tag("too_many_write_operations")),
        FileError::NoSpace => ApiError::Route(tag("insufficient_quota")),
        other => error::write("to", other),
    }
}

/// `{"metadata": …}`
async fn wrapped(call: &Call, located: &Located) -> ApiResult<Wrapped> {
    let metadata = metadata::one(call, located).await?;
    Ok(Wrapped { metadata })
}
