//! Many operations in one call, each on its own: what fails does not hold up the others. All are done when the call answers.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::call::Call;
use super::super::error::{ApiError, ApiResult};
use super::super::path;
use super::super::stone::{nested, tag};
use super::answers::{BatchError, Deleted, Entry, FolderMade, Launch, Moved, Relocated};
use super::write::{self, CreateFolder, Delete, Relocate};

/// Entries of one batch.
const MOST_ENTRIES: usize = 1_000;
/// Folders of one batch.
const MOST_FOLDERS: usize = 10_000;

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct CreateFolders {
    #[schemars(inner(regex(pattern = path::NEW)))]
    paths: Vec<String>,
    #[serde(default)]
    autorename: bool,
}

/// `files/create_folder_batch`
pub(in super::super) async fn create_folders(
    call: Call,
    argument: CreateFolders,
) -> ApiResult<Launch<FolderMade>> {
    if argument.paths.len() > MOST_FOLDERS {
        let failed = BatchError::TooManyFiles;
        return Ok(Launch::Failed { failed });
    }
    let mut entries = Vec::with_capacity(argument.paths.len());
    for path in argument.paths {
        let folder = CreateFolder {
            path,
            autorename: argument.autorename,
        };
        entries.push(Entry::of(write::make_folder(&call, folder).await)?);
    }
    Ok(Launch::Complete { entries })
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Deletes {
    #[schemars(length(max = MOST_ENTRIES))]
    entries: Vec<Delete>,
}

/// `files/delete_batch`
pub(in super::super) async fn delete(call: Call, argument: Deletes) -> ApiResult<Launch<Deleted>> {
    check_len(argument.entries.len())?;
    let mut entries = Vec::with_capacity(argument.entries.len());
    for entry in argument.entries {
        entries.push(Entry::of(write::remove(&call, entry).await)?);
    }
    Ok(Launch::Complete { entries })
}

#[derive(Deserialize, JsonSchema)]
struct FromTo {
    #[schemars(extend("pattern" = path::READ))]
    from_path: String,
    #[schemars(extend("pattern" = path::NEW))]
    to_path: String,
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Relocations {
    #[schemars(length(max = MOST_ENTRIES))]
    entries: Vec<FromTo>,
    #[serde(default)]
    autorename: bool,
}

/// `files/move_batch_v2`
pub(in super::super) async fn move_all(call: Call, argument: Relocations) -> ApiResult<Launch<Moved>> {
    relocate(call, argument, true).await
}

/// `files/copy_batch_v2`
pub(in super::super) async fn copy_all(call: Call, argument: Relocations) -> ApiResult<Launch<Moved>> {
    relocate(call, argument, false).await
}

async fn relocate(call: Call, argument: Relocations, is_move: bool) -> ApiResult<Launch<Moved>> {
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
            Ok(done) => Entry::Success(Relocated {
                success: done.metadata,
            }),
            Err(ApiError::Route(error)) => Entry::failure(nested("relocation_error", error)),
            Err(other) => return Err(other),
        });
    }
    Ok(Launch::Complete { entries })
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct PollJob {
    #[serde(rename = "async_job_id")]
    _job: String,
}

/// The routes that ask how far a batch is: none is ever under way, so there is no job to ask for.
pub(in super::super) async fn check(_: Call, _: PollJob) -> ApiResult<()> {
    Err(ApiError::Route(tag("invalid_async_job_id")))
}

fn check_len(len: usize) -> ApiResult<()> {
    match len {
        0..=MOST_ENTRIES => Ok(()),
        _ => Err(ApiError::BadInput(format!("entries: at most {MOST_ENTRIES}"))),
    }
}
