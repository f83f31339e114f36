//! `list_folder/longpoll`: waits until a cursor has news. The cursor is the credential.

use std::sync::Arc;
use std::time::Duration;

use cairn_core::ids::NodeId;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use super::super::call::count;
use super::super::cursor::{ListCursor, Stage};
use super::super::error::{ApiError, ApiResult};
use super::super::stone::tag;
use super::answers::Changes;
use super::list::{advance, open};
use crate::auth::Author;
use crate::notify::Subscription;
use crate::service::browse;
use crate::service::files::{FileError, Files};
use crate::state::State;

/// The longest wait, as Dropbox has it.
const MOST_SECONDS: u64 = 480;
const USUAL_SECONDS: u64 = 30;

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct LongPoll {
    cursor: String,
    /// Seconds.
    #[schemars(range(max = MOST_SECONDS))]
    timeout: Option<u64>,
}

/// `files/list_folder/longpoll`
pub(in super::super) async fn longpoll(state: Arc<State>, argument: LongPoll) -> ApiResult<Changes> {
    let state = &state;
    let seconds = argument.timeout.unwrap_or(USUAL_SECONDS);
    if seconds > MOST_SECONDS {
        return Err(ApiError::BadInput(format!("timeout: at most {MOST_SECONDS}")));
    }
    let (cursor, head) = open(state, &argument.cursor).await?;
    count(state, head.owner)?;
    // Before all that is looked at, so that nothing falls between a look and the wait: no change, nor the end of the link.
    let subscription = state.notifier.subscribe(vec![cursor.namespace], cursor.device);
    let devices = state.metadata.devices(head.owner).await?;
    if !devices.iter().any(|device| device.id == cursor.device) {
        return Err(ApiError::Service(crate::error::ServiceError::NotAuthenticated));
    }
    let files = Files {
        state,
        namespace: cursor.namespace,
        // The cursor's own folder bounds what it tells of.
        home: NodeId::ROOT,
        author: Author {
            account: head.owner,
            device: cursor.device,
        },
    };
    let changes = wait(&files, cursor, subscription, Duration::from_secs(seconds)).await?;
    Ok(Changes { changes })
}

/// Whether something happened in the cursor's scope before the time is over.
async fn wait(
    files: &Files<'_>,
    mut cursor: ListCursor,
    subscription: Subscription,
    patience: Duration,
) -> ApiResult<bool> {
    let state = files.state;
    let deadline = Instant::now() + patience;
    loop {
        let Stage::Following { after } = cursor.stage else {
            return Ok(true);
        };
        let head = browse::head(state, cursor.namespace).await?;
        if head.seq > after.seq {
            match advance(files, &cursor, &head).await {
                Ok(None) => return Err(ApiError::Route(tag("reset"))),
                Ok(Some((news, Stage::Following { after }, has_more))) if news.is_empty() => {
                    // What happened does not concern this folder.
                    cursor.stage = Stage::Following { after };
                    if has_more {
                        continue;
                    }
                }
                // The next call of `continue` says that the folder is gone.
                Ok(Some(_)) | Err(FileError::NotFound) => return Ok(true),
                Err(FileError::Service(error)) => return Err(error.into()),
                Err(_) => return Ok(true),
            }
        }
        tokio::select! {
            biased;
            news = subscription.news() => {
                if news.is_unlinked {
                    return Err(ApiError::Service(crate::error::ServiceError::NotAuthenticated));
                }
            }
            () = tokio::time::sleep_until(deadline) => return Ok(false),
            () = state.draining.cancelled() => return Ok(false),
        }
    }
}
