//! Many operations in one call, each on its own: what fails does not hold up the others. All are done when the call answers.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::call::Call;
use super::super::error::{ApiError, ApiResult, flattened};
use super::super::stone::{nested, tag};
use super::write::{self, CreateFolder, Delete, Relocate};

/// Entries of one batch.
const MOST_ENTRIES: usize = 1_000;
/// Folders of one batch.
const MOST_FOLDERS: usize = 10_000;

#[derive(Deserialize)]
pub(in super::super) struct CreateFolders {
    paths: Vec<String>,
    #[serde(default)]
    autorename: bool,
}

/// `files/create_folder_batch`
pub(in super::super) async fn create_folders(call: Call, argument: CreateFolders) -> ApiResult<Value> {
    if argument.paths.len() > MOST_FOLDERS {
        return Ok(nested("failed", tag("too_many_files")));
    }
    let mut entries = Vec::with_capacity(argument.paths.len());
    for path in argument.paths {
        let folder = CreateFolder {
            path,
            autorename: argument.autorename,
        };
        entries.push(match write::make_folder(&call, folder).await {
            Ok(Value::Object(fields)) => flattened("success", fields),
            Ok(other) => nested("success", other),
            Err(ApiError::Route(error)) => nested("failure", error),
            Err(other) => return Err(other),
        });
    }
    Ok(complete(entries))
}

#[derive(Deserialize)]
pub(in super::super) struct Deletes {
    entries: Vec<Delete>,
}

/// `files/delete_batch`
pub(in super::super) async fn delete(call: Call, argument: Deletes) -> ApiResult<Value> {
    check_len(argument.entries.len())?;
    let mut entries = Vec::with_capacity(argument.entries.len());
    for entry in argument.entries {
        entries.push(match write::remove(&call, entry).await {
            Ok(Value::Object(fields)) => flattened("success", fields),
            Ok(other) => nested("success", other),
            Err(ApiError::Route(error)) => nested("failure", error),
            Err(other) => return Err(other),
        });
    }
    Ok(complete(entries))
}

#[derive(Deserialize)]
struct FromTo {
    from_path: String,
    to_path: String,
}

#[derive(Deserialize)]
pub(in super::super) struct Relocations {
    entries: Vec<FromTo>,
    #[serde(default)]
    autorename: bool,
}

/// `files/move_batch_v2`
pub(in super::super) async fn move_all(call: Call, argument: Relocations) -> ApiResult<Value> {
    relocate(call, argument, true).await
}

/// `files/copy_batch_v2`
pub(in super::super) async fn copy_all(call: Call, argument: Relocations) -> ApiResult<Value> {
    relocate(call, argument, false).await
}

async fn relocate(call: Call, argument: Relocations, is_move: bool) -> ApiResult<Value> {
    check_len(argument.entries.len())?;
    let mut entries = Vec::with_capacity(argument.entries.len());
    for FromTo { from_path, to_path } in argument.entries {
        let wanted = Relocate {
            from_path,
            to_path,
            autorename: argument.autorename,
        };
        let done = match is_move {
            true => write::relocate_by_move(&call, &wanted).await,
            false => write::relocate_by_copy(&call, &wanted).await,
        };
        entries.push(match done {
            Ok(mut value) => nested("success", value["metadata"].take()),
            Err(ApiError::Route(error)) => nested("failure", nested("relocation_error", error)),
            Err(other) => return Err(other),
        });
    }
    Ok(complete(entries))
}

/// The routes that ask how far a batch is: none is ever under way, so there is no job to ask for.
pub(in super::super) async fn check(_: Call, _: Value) -> ApiResult<Value> {
    Err(ApiError::Route(tag("invalid_async_job_id")))
}

fn check_len(len: usize) -> ApiResult<()> {
    match len {
        0..=MOST_ENTRIES => Ok(()),
        _ => Err(ApiError::BadInput(format!("entries: at most {MOST_ENTRIES}"))),
    }
}

fn complete(entries: Vec<Value>) -> Value {
    json!({ ".tag": "complete", "entries": entries })
}
