//! Many operations in one call, each on its own: what fails does not hold up the others. All are done when the call answers.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::call::Call;
use super::super::error::{ApiError, ApiResult};
use super::super::stone::{nested, tag};
use super::super::{metadata, path};
use super::answers::{BatchError, Deleted, Entry, FolderMade, Launch, Moved, Relocated, Wrapped};
use super::write::{self, CreateFolder, Delete, Relocate};
use crate::service::files::{Each, FileError, Located, Operation, Side, Single};

/// Entries of one batch.
const MOST_ENTRIES: usize = 1_000;
/// Folders of one batch.
const MOST_FOLDERS: usize = 10_000;

/// One entry of a batch.
pub(super) trait BatchEntry {
    /// Does it by itself. `operation` is what it was taken for.
    async fn alone(&self, call: &Call, operation: &Operation) -> ApiResult<Located>;
    /// Why it was not done.
    fn refusal(&self, side: Side, error: FileError) -> ApiError;
}

/// Entries of a batch with what is to be done for each, or why it cannot be.
fn each<E>(
    entries: impl IntoIterator<Item = E>,
    may_rename: bool,
    operation: impl Fn(&E) -> ApiResult<Operation>,
) -> Vec<ApiResult<(E, Single)>> {
    let one = |entry: E| {
        let operation = operation(&entry)?;
        let single = Single {
            operation,
            may_rename,
        };
        Ok((entry, single))
    };
    entries.into_iter().map(one).collect()
}

/// Does the entries of a batch, in their order and as many at once as go together.
pub(super) async fn run<E: BatchEntry>(
    call: &Call,
    entries: Vec<ApiResult<(E, Single)>>,
) -> ApiResult<Vec<ApiResult<metadata::Metadata>>> {
    let mut results: Vec<Option<ApiResult<Located>>> = Vec::with_capacity(entries.len());
    let (mut wanted, mut operations) = (Vec::new(), Vec::new());
    for (index, entry) in entries.into_iter().enumerate() {
        match entry {
            Ok((entry, operation)) => {
                results.push(None);
                wanted.push((index, entry));
                operations.push(operation);
            }
            Err(error) => results.push(Some(Err(error))),
        }
    }
    let files = call.files();
    let mut next = 0;
    while next < operations.len() {
        let mut done = files.apply_each(&operations[next..]).await?;
        if done.is_empty() {
            done.push(Each::Alone);
        }
        for each in done {
            let (index, entry) = &wanted[next];
            let operation = &operations[next].operation;
            next += 1;
            results[*index] = Some(match each {
                Each::Done(located) => Ok(located),
                Each::Failed(side, error) => Err(entry.refusal(side, error)),
                Each::Alone => entry.alone(call, operation).await,
            });
        }
    }
    describe(call, results.into_iter().flatten().collect()).await
}

/// What there is to say of what was done.
async fn describe(
    call: &Call,
    results: Vec<ApiResult<Located>>,
) -> ApiResult<Vec<ApiResult<metadata::Metadata>>> {
    let mut located = Vec::with_capacity(results.len());
    let results: Vec<ApiResult<()>> = results
        .into_iter()
        .map(|result| result.map(|done| located.push(done)))
        .collect();
    let mut described = metadata::many(call, &located).await?.into_iter();
    let missing = || ApiError::BadInput("an entry has no answer".into());
    let one = |result: ApiResult<()>| result.and_then(|()| described.next().ok_or_else(missing));
    Ok(results.into_iter().map(one).collect())
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct CreateFolders {
    #[schemars(inner(regex(pattern = path::NEW)))]
    paths: Vec<String>,
    #[serde(default)]
    autorename: bool,
}

impl BatchEntry for CreateFolder {
    async fn alone(&self, call: &Call, _: &Operation) -> ApiResult<Located> {
        write::make_folder(call, self).await
    }

    fn refusal(&self, _: Side, error: FileError) -> ApiError {
        write::folder_error(error)
    }
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
    let autorename = argument.autorename;
    let folders = argument.paths.into_iter();
    let folders = folders.map(|path| CreateFolder { path, autorename });
    let folders = each(folders, autorename, |folder| {
        write::folder_target(&call, folder).map(Operation::MakeFolder)
    });
    let entries = run(&call, folders).await?.into_iter().map(wrapped);
    let entries = entries.collect::<ApiResult<_>>()?;
    Ok(Launch::Complete { entries })
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Deletes {
    #[schemars(length(max = MOST_ENTRIES))]
    entries: Vec<Delete>,
}

impl BatchEntry for Delete {
    async fn alone(&self, call: &Call, _: &Operation) -> ApiResult<Located> {
        write::remove(call, self).await
    }

    fn refusal(&self, _: Side, error: FileError) -> ApiError {
        write::delete_error(error)
    }
}

/// `files/delete_batch`
pub(in super::super) async fn delete(call: Call, argument: Deletes) -> ApiResult<Launch<Deleted>> {
    check_len(argument.entries.len())?;
    let wanted = each(argument.entries, false, |entry| {
        let (target, rev) = write::delete_target(&call, entry)?;
        Ok(Operation::Delete { target, rev })
    });
    let entries = run(&call, wanted).await?.into_iter().map(wrapped);
    let entries = entries.collect::<ApiResult<_>>()?;
    Ok(Launch::Complete { entries })
}

fn wrapped<E: JsonSchema>(done: ApiResult<metadata::Metadata>) -> ApiResult<Entry<Wrapped, E>> {
    Entry::of(done.map(|metadata| Wrapped { metadata }))
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

/// An entry that moves.
struct MoveEntry(Relocate);

/// An entry that copies.
struct CopyEntry(Relocate);

impl BatchEntry for MoveEntry {
    async fn alone(&self, call: &Call, _: &Operation) -> ApiResult<Located> {
        write::relocate_by_move(call, &self.0).await
    }

    fn refusal(&self, side: Side, error: FileError) -> ApiError {
        write::move_error(side, error)
    }
}

impl BatchEntry for CopyEntry {
    async fn alone(&self, call: &Call, _: &Operation) -> ApiResult<Located> {
        write::relocate_by_copy(call, &self.0).await
    }

    fn refusal(&self, side: Side, error: FileError) -> ApiError {
        write::copy_error(side, error)
    }
}

/// `files/move_batch_v2`
pub(in super::super) async fn move_all(call: Call, argument: Relocations) -> ApiResult<Launch<Moved>> {
    relocate(&call, argument, MoveEntry, |entry| {
        entry.0.guarded(&call).map(Operation::Move)
    })
    .await
}

/// `files/copy_batch_v2`
pub(in super::super) async fn copy_all(call: Call, argument: Relocations) -> ApiResult<Launch<Moved>> {
    relocate(&call, argument, CopyEntry, |entry| {
        entry.0.guarded(&call).map(Operation::Copy)
    })
    .await
}

async fn relocate<E: BatchEntry>(
    call: &Call,
    argument: Relocations,
    entry: impl Fn(Relocate) -> E,
    operation: impl Fn(&E) -> ApiResult<Operation>,
) -> ApiResult<Launch<Moved>> {
    check_len(argument.entries.len())?;
    let autorename = argument.autorename;
    let wanted = argument.entries.into_iter().map(|FromTo { from_path, to_path }| {
        entry(Relocate {
            from_path,
            to_path,
            autorename,
        })
    });
    let wanted = each(wanted, autorename, operation);
    let entries = run(call, wanted).await?.into_iter().map(|done| match done {
        Ok(success) => Ok(Entry::Success(Relocated { success })),
        Err(ApiError::Route(error)) => Ok(Entry::failure(nested("relocation_error", error))),
        Err(other) => Err(other),
    });
    let entries = entries.collect::<ApiResult<_>>()?;
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
