//! `upload_session/finish_batch`: the ends of many sessions, written together.

use std::collections::HashSet;

use cairn_metadata::UploadId;
use futures::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::super::call::Call;
use super::super::error::{self, ApiError, ApiResult};
use super::super::metadata;
use super::super::stone::nested;
use super::answers::{Entries, Entry, Finished, Launch};
use super::batches::{self, BatchEntry};
use super::sessions::{Cursor, Finish, MOST_ENTRIES, closed, end_session, put_of};
use crate::service::files::{FileError, Located, MOST_CHUNKS, Operation, Put, Side, Single};

/// Sessions that are made ready at once: each may have to be put together from its pieces.
const READY_AT_ONCE: usize = 8;
/// Sessions that are forgotten at once.
const FORGOTTEN_AT_ONCE: usize = 100;

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct FinishBatch {
    #[schemars(length(max = MOST_ENTRIES))]
    entries: Vec<Finish>,
}

/// `files/upload_session/finish_batch_v2`
pub(in super::super) async fn finish_batch(
    call: Call,
    argument: FinishBatch,
) -> ApiResult<Entries<Finished>> {
    if argument.entries.len() > MOST_ENTRIES {
        return Err(ApiError::BadInput(format!("entries: at most {MOST_ENTRIES}")));
    }
    let mut entries = Vec::with_capacity(argument.entries.len());
    for part in parts(&argument.entries, Finish::cursor) {
        let (mut window, mut chunks) = (Vec::new(), 0);
        for few in part.chunks(READY_AT_ONCE) {
            let waiting: Vec<_> = few.iter().map(|entry| ready(&call, entry)).collect();
            let ready: Vec<_> = stream::iter(waiting)
                .buffered(READY_AT_ONCE)
                .try_collect()
                .await?;
            chunks += ready.iter().flatten().map(Ready::chunks).sum::<u64>();
            window.extend(ready);
            if chunks > MOST_CHUNKS {
                entries.extend(end(&call, std::mem::take(&mut window)).await?);
                chunks = 0;
            }
        }
        entries.extend(end(&call, window).await?);
    }
    Ok(Entries { entries })
}

/// `files/upload_session/finish_batch`: done when it answers.
pub(in super::super) async fn finish_batch_v1(
    call: Call,
    argument: FinishBatch,
) -> ApiResult<Launch<Finished>> {
    let Entries { entries } = finish_batch(call, argument).await?;
    Ok(Launch::Complete { entries })
}

/// Splits entries into parts of which none names a session twice: what the second one finds is up to what came of the first.
pub(super) fn parts<E>(entries: &[E], cursor: impl Fn(&E) -> &Cursor) -> Vec<&[E]> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    let mut seen = HashSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let session = cursor(entry).session();
        if !seen.insert(session) {
            parts.push(&entries[begin..index]);
            begin = index;
            seen = HashSet::from([session]);
        }
    }
    parts.push(&entries[begin..]);
    parts
}

/// A session that has all its bytes, and what is to be done with them.
struct Ready {
    upload: UploadId,
    /// With another name, where one may be taken.
    how: Put,
    single: Single,
}

impl Ready {
    fn chunks(&self) -> u64 {
        match &self.single.operation {
            Operation::Put { ingested, .. } => ingested.content.manifest.chunk_count(),
            _ => 0,
        }
    }
}

/// Makes a session ready; the inner error is that of the entry.
async fn ready(call: &Call, entry: &Finish) -> ApiResult<Result<Ready, Value>> {
    let ready = async {
        let lookup = |error| ApiError::Route(nested("lookup_failed", error));
        let upload = closed(call, entry.cursor()).await?.map_err(lookup)?;
        let (target, ingested, how) = put_of(call, &upload, entry.commit()).await?;
        let alone = how.clone();
        let may_rename = how.autorename;
        let how = Put {
            autorename: false,
            ..how
        };
        let operation = Operation::Put {
            target,
            ingested,
            how,
        };
        Ok(Ready {
            upload: upload.id,
            how: alone,
            single: Single {
                operation,
                may_rename,
            },
        })
    };
    match ready.await {
        Ok(ready) => Ok(Ok(ready)),
        Err(ApiError::Route(error)) => Ok(Err(error)),
        Err(other) => Err(other),
    }
}

/// How a file is put that must be put by itself.
struct Ending(Put);

impl BatchEntry for Ending {
    async fn alone(&self, call: &Call, operation: &Operation) -> ApiResult<Located> {
        let put = match operation {
            Operation::Put { target, ingested, .. } => call.files().put(target, ingested, &self.0).await,
            _ => Err(FileError::NotFound),
        };
        put.map_err(|error| self.refusal(Side::Target, error))
    }

    fn refusal(&self, _: Side, error: FileError) -> ApiError {
        error::write("path", error)
    }
}

/// Puts what has come where it goes. The sessions of what cannot be put stay for another try.
async fn end(call: &Call, window: Vec<Result<Ready, Value>>) -> ApiResult<Vec<Finished>> {
    let mut uploads = Vec::with_capacity(window.len());
    let mut entries = Vec::with_capacity(window.len());
    for ready in window {
        uploads.push(ready.as_ref().ok().map(|ready| ready.upload));
        let entry = ready.map(|Ready { how, single, .. }| (Ending(how), single));
        entries.push(entry.map_err(ApiError::Route));
    }
    let done = batches::run(call, entries).await?;
    let ended = uploads.iter().zip(&done).filter(|(_, done)| done.is_ok());
    let ended: Vec<UploadId> = ended.filter_map(|(upload, _)| *upload).collect();
    stream::iter(ended)
        .for_each_concurrent(FORGOTTEN_AT_ONCE, |upload| end_session(call, upload))
        .await;
    let finished = done.into_iter();
    finished
        .map(|done| Entry::of(done.and_then(metadata::file_of)))
        .collect()
}
