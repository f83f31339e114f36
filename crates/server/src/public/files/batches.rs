//! Many operations in one call, each on its own: what fails does not hold up the others. All are done when the call answers.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::call::Call;
use super::super::error::{ApiError, ApiResult};
use super::super::stone::{nested, tag};
use super::super::{metadata, path};
use super::answers::{BatchError, Deleted, Entry, FolderMade, Launch, Moved, Relocated, Wrapped};
use super::write::{self, CreateFolder, Delete, Relocate};
use crate::service::files::{Each, FileError, Located, Operation, Side};

/// Entries of one batch.
const MOST_ENTRIES: usize = 1_000;
/// Folders of one batch.
const MOST_FOLDERS: usize = 10_000;

/// One entry of a batch.
trait BatchEntry {
    /// What is to be done.
    fn operation(&self, call: &Call) -> ApiResult<Operation>;
    /// Whether another name is taken where one cannot be had.
    fn may_rename(&self) -> bool;
    /// Does it by itself.
    async fn alone(&self, call: &Call) -> ApiResult<Located>;
    /// Why it was not done.
    fn refusal(&self, side: Side, error: FileError) -> ApiError;
}

/// Does the entries of a batch, in their order and as many at once as go together.
async fn run<E: BatchEntry>(call: &Call, entries: &[E]) -> ApiResult<Vec<ApiResult<metadata::Metadata>>> {
    let mut results: Vec<Option<ApiResult<Located>>> = entries.iter().map(|_| None).collect();
    let (mut indexes, mut operations) = (Vec::new(), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        match entry.operation(call) {
            Ok(operation) => {
                indexes.push(index);
                operations.push(operation);
            }
            Err(error) => results[index] = Some(Err(error)),
        }
    }
    let files = call.files();
    let may_rename = entries.first().is_some_and(BatchEntry::may_rename);
    let mut next = 0;
    while next < operations.len() {
        let mut done = files.apply_each(&operations[next..], may_rename).await?;
        if done.is_empty() {
            done.push(Each::Alone);
        }
        for each in done {
            let index = indexes[next];
            let entry = &entries[index];
            next += 1;
            results[index] = Some(match each {
                Each::Done(located) => Ok(located),
                Each::Failed(side, error) => Err(entry.refusal(side, error)),
                Each::Alone => entry.alone(call).await,
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
    fn operation(&self, call: &Call) -> ApiResult<Operation> {
        write::folder_target(call, self).map(Operation::MakeFolder)
    }

    fn may_rename(&self) -> bool {
        self.autorename
    }

    async fn alone(&self, call: &Call) -> ApiResult<Located> {
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
    let folders: Vec<_> = folders.map(|path| CreateFolder { path, autorename }).collect();
    let entries = run(&call, &folders).await?.into_iter().map(wrapped);
    let entries = entries.collect::<ApiResult<_>>()?;
    Ok(Launch::Complete { entries })
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Deletes {
    #[schemars(length(max = MOST_ENTRIES))]
    entries: Vec<Delete>,
}

impl BatchEntry for Delete {
    fn operation(&self, call: &Call) -> ApiResult<Operation> {
        let (target, rev) = write::delete_target(call, self)?;
        Ok(Operation::Delete { target, rev })
    }

    fn may_rename(&self) -> bool {
        false
    }

    async fn alone(&self, call: &Call) -> ApiResult<Located> {
        write::remove(call, self).await
    }

    fn refusal(&self, _: Side, error: FileError) -> ApiError {
        write::delete_error(error)
    }
}

/// `files/delete_batch`
pub(in super::super) async fn delete(call: Call, argument: Deletes) -> ApiResult<Launch<Deleted>> {
    check_len(argument.entries.len())?;
    let entries = run(&call, &argument.entries).await?.into_iter().map(wrapped);
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
    fn operation(&self, call: &Call) -> ApiResult<Operation> {
        self.0.guarded(call).map(Operation::Move)
    }

    fn may_rename(&self) -> bool {
        self.0.autorename
    }

    async fn alone(&self, call: &Call) -> ApiResult<Located> {
        write::relocate_by_move(call, &self.0).await
    }

    fn refusal(&self, side: Side, error: FileError) -> ApiError {
        write::move_error(side, error)
    }
}

impl BatchEntry for CopyEntry {
    fn operation(&self, call: &Call) -> ApiResult<Operation> {
        self.0.guarded(call).map(Operation::Copy)
    }

    fn may_rename(&self) -> bool {
        self.0.autorename
    }

    async fn alone(&self, call: &Call) -> ApiResult<Located> {
        write::relocate_by_copy(call, &self.0).await
    }

    fn refusal(&self, side: Side, error: FileError) -> ApiError {
        write::copy_error(side, error)
    }
}

/// `files/move_batch_v2`
pub(in super::super) async fn move_all(call: Call, argument: Relocations) -> ApiResult<Launch<Moved>> {
    relocate(&call, argument, MoveEntry).await
}

/// `files/copy_batch_v2`
pub(in super::super) async fn copy_all(call: Call, argument: Relocations) -> ApiResult<Launch<Moved>> {
    relocate(&call, argument, CopyEntry).await
}

async fn relocate<E: BatchEntry>(
    call: &Call,
    argument: Relocations,
    entry: impl Fn(Relocate) -> E,
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
    let wanted: Vec<E> = wanted.collect();
    let entries = run(call, &wanted).await?.into_iter().map(|done| match done {
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
