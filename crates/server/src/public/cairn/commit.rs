//! `files/commit`: many operations as one change.

use std::collections::BTreeMap;

use cairn_core::node::Content;
use cairn_core::rev::Rev;
use cairn_metadata::UploadId;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::call::Call;
use super::super::error::{self, ApiError, ApiResult};
use super::super::files::answers::Entries;
use super::super::files::{self, Cursor};
use super::super::path::PathError;
use super::super::stone::{self, Union, nested, tag};
use super::super::{metadata, path};
use crate::service::files::{
    Done, FileError, Guarded, Ingested, NotDone, Operation, Put, Relocation, Side, Spot, Target,
};

/// Operations of one call.
const MOST_OPERATIONS: usize = 1_000;

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Commit {
    #[schemars(length(max = MOST_OPERATIONS))]
    operations: Vec<Entry>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
#[schemars(rename = "Operation")]
enum Entry {
    CreateFolder {
        #[schemars(extend("pattern" = path::NEW))]
        path: String,
    },
    Put {
        #[schemars(extend("pattern" = path::NEW))]
        path: String,
        content: Source,
        #[schemars(schema_with = "files::write_mode")]
        #[serde(default)]
        mode: Option<Union>,
        #[serde(default)]
        strict_conflict: bool,
        #[schemars(extend("pattern" = stone::TIME_PATTERN))]
        client_modified: Option<String>,
    },
    Move(Relocate),
    Copy(Relocate),
    Delete {
        #[schemars(extend("pattern" = path::READ))]
        path: String,
        #[schemars(extend("pattern" = path::REV))]
        parent_rev: Option<String>,
    },
}

/// Where a content comes from.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
enum Source {
    /// A session that was closed.
    UploadSession(Cursor),
    /// A file that the caller can read, in any of its states.
    File {
        #[schemars(extend("pattern" = path::READ))]
        path: String,
    },
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "GuardedRelocation")]
struct Relocate {
    #[schemars(extend("pattern" = path::READ))]
    from_path: String,
    #[schemars(extend("pattern" = path::NEW))]
    to_path: String,
    #[schemars(extend("pattern" = path::REV))]
    parent_rev: Option<String>,
}

/// Why an operation cannot even be tried: a member of its own union, or what ends the whole call.
enum Refused {
    Reason(Value),
    Call(ApiError),
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Call(error)
    }
}

/// `cairn/files/commit`
pub(in super::super) async fn commit(call: Call, argument: Commit) -> ApiResult<Entries<metadata::Metadata>> {
    if argument.operations.len() > MOST_OPERATIONS {
        return Err(ApiError::BadInput(format!(
            "operations: at most {MOST_OPERATIONS}"
        )));
    }
    let mut sessions = Vec::new();
    let mut operations = Vec::with_capacity(argument.operations.len());
    for (index, entry) in argument.operations.iter().enumerate() {
        let operation = prepare(&call, entry, &mut sessions).await;
        operations.push(operation.map_err(|refused| match refused {
            Refused::Reason(reason) => failed(index, reason),
            Refused::Call(error) => error,
        })?);
    }
    let files = call.files();
    let done = files
        .apply(&operations)
        .await
        .map_err(|error| not_done(&argument.operations, error))?;
    for session in sessions {
        // What is left over is forgotten with its time: the change itself is done.
        if let Err(error) = files.end_upload(session).await {
            tracing::warn!(%error, "an upload that was committed is kept");
        }
    }
    let mut entries = Vec::with_capacity(done.len());
    for done in done {
        entries.push(match done {
            Done::Here(located) | Done::Deleted(located) => metadata::one(&call, &located).await?,
            Done::Gone(located) => metadata::deleted(&located.names().unwrap_or_default()),
        });
    }
    Ok(Entries { entries })
}

async fn prepare(call: &Call, entry: &Entry, sessions: &mut Vec<UploadId>) -> Result<Operation, Refused> {
    let namespace = call.namespace();
    let new = |member: &str, text: &str| {
        path::parse_new(text, namespace)
            .map_err(|error| refused(error, |error| Ok(nested(member, error::write_error(error)?))))
    };
    let old = |member: &str, text: &str| {
        path::parse(text, namespace)
            .map_err(|error| refused(error, |error| Ok(nested(member, error::lookup_error(error)?))))
    };
    Ok(match entry {
        Entry::CreateFolder { path } => Operation::MakeFolder(new("path", path)?),
        Entry::Put {
            path,
            content,
            mode,
            strict_conflict,
            client_modified,
        } => {
            let how = Put {
                mode: files::mode(mode.as_ref())?,
                autorename: false,
                strict: *strict_conflict,
                modified: files::modified(client_modified.as_deref())?,
                copy_suffix: String::new(),
            };
            let target = new("path", path)?;
            let ingested = match content {
                Source::UploadSession(cursor) => uploaded(call, cursor, sessions).await?,
                Source::File { path } => {
                    let target = old("content_lookup", path)?;
                    known(call, &target).await?
                }
            };
            Operation::Put {
                target,
                ingested,
                how,
            }
        }
        Entry::Move(relocate) | Entry::Copy(relocate) => {
            let guarded = Guarded {
                wanted: Relocation {
                    from: old("from_lookup", &relocate.from_path)?,
                    to: new("to", &relocate.to_path)?,
                    autorename: false,
                },
                rev: parent_rev(call, "from_write", relocate.parent_rev.as_deref())?,
            };
            match entry {
                Entry::Move(_) => Operation::Move(guarded),
                _ => Operation::Copy(guarded),
            }
        }
        Entry::Delete {
            path,
            parent_rev: rev,
        } => Operation::Delete {
            target: old("path_lookup", path)?,
            rev: parent_rev(call, "path_write", rev.as_deref())?,
        },
    })
}

/// What a session holds.
async fn uploaded(call: &Call, cursor: &Cursor, sessions: &mut Vec<UploadId>) -> Result<Ingested, Refused> {
    let lookup = |error| Refused::Reason(nested("lookup_failed", error));
    let upload = files::closed(call, cursor).await?.map_err(lookup)?;
    if sessions.contains(&upload.id) {
        // Its bytes go to one place, as when it is finished.
        return Err(lookup(tag("not_found")));
    }
    let assembled = call.files().assemble(&upload).await;
    let assembled = assembled.map_err(|error| match error::write_error(error) {
        Ok(error) => Refused::Reason(nested("path", error)),
        Err(error) => Refused::Call(error),
    })?;
    sessions.push(upload.id);
    assembled.ok_or_else(|| Refused::Reason(tag("concurrent_session_missing_data")))
}

/// The content of a file that the caller can read: whose chunks the namespace has already.
async fn known(call: &Call, target: &Target) -> Result<Ingested, Refused> {
    let shape = |error| match error::lookup_error(error) {
        Ok(error) => Refused::Reason(nested("content_lookup", error)),
        Err(error) => Refused::Call(error),
    };
    let Spot::Node(located) = call.files().find(target).await.map_err(shape)? else {
        return Err(shape(FileError::NotFile));
    };
    match located.node.content {
        Content::File(content) => Ok(Ingested {
            content,
            lens: BTreeMap::new(),
        }),
        _ => Err(shape(FileError::NotFile)),
    }
}

/// The state that a caller has seen. `member` tells that the file is in another one.
fn parent_rev(call: &Call, member: &str, text: Option<&str>) -> Result<Option<Rev>, Refused> {
    let Some(text) = text else { return Ok(None) };
    match path::parse_rev(text) {
        Ok(rev) if rev.namespace == call.namespace() => Ok(Some(rev)),
        Err(PathError::Pattern(what)) => Err(Refused::Call(ApiError::BadInput(what))),
        // No file here ever was in it.
        Ok(_) | Err(PathError::File(_)) => {
            Err(Refused::Reason(nested(member, nested("conflict", tag("file")))))
        }
    }
}

fn refused(error: PathError, shape: impl FnOnce(FileError) -> Result<Value, ApiError>) -> Refused {
    match error {
        PathError::Pattern(what) => Refused::Call(ApiError::BadInput(what)),
        PathError::File(error) => match shape(error) {
            Ok(reason) => Refused::Reason(reason),
            Err(error) => Refused::Call(error),
        },
    }
}

fn not_done(entries: &[Entry], error: NotDone) -> ApiError {
    let (index, side, error) = match error {
        NotDone::Failed { index, side, error } => (index, side, error),
        NotDone::TooMuch => return ApiError::Route(tag("too_many_operations")),
        NotDone::Contended => return ApiError::Route(tag("too_many_write_operations")),
        NotDone::Service(error) => return error.into(),
    };
    let reason = match entries.get(index) {
        Some(entry) => reason(entry, side, error),
        None => return ApiError::Route(tag("too_many_write_operations")),
    };
    match reason {
        Ok(reason) => failed(index, reason),
        Err(error) => error,
    }
}

/// A member of the union of an operation.
fn reason(entry: &Entry, side: Side, error: FileError) -> Result<Value, ApiError> {
    let (source, state, target) = match entry {
        Entry::CreateFolder { .. } | Entry::Put { .. } => ("path", "path", "path"),
        Entry::Move(_) | Entry::Copy(_) => ("from_lookup", "from_write", "to"),
        Entry::Delete { .. } => ("path_lookup", "path_write", "path_write"),
    };
    Ok(match (side, error) {
        (_, FileError::TooManyFiles) => tag("too_many_files"),
        (_, FileError::IntoItself) => tag(match entry {
            Entry::Copy(_) => "duplicated_or_nested_paths",
            _ => "cant_move_folder_into_itself",
        }),
        (Side::Source, error) => nested(source, error::lookup_error(error)?),
        (Side::State, error) => nested(state, error::write_error(error)?),
        (Side::Target, error) => nested(target, error::write_error(error)?),
    })
}

fn failed(index: usize, reason: Value) -> ApiError {
    ApiError::Route(json!({ ".tag": "operation_failed", "index": index, "reason": reason }))
}
