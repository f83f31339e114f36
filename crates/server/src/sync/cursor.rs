//! `POST /sync/1/cursor`: how far a device has durably followed a namespace.

use std::sync::Arc;

use axum::extract::State as Shared;
use cairn_api::sync::{CursorReply, CursorReport};

use crate::auth::Caller;
use crate::body::{Answer, Message, Reply};
use crate::error::ServiceError;
use crate::state::State;

pub(super) async fn cursor(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(report): Message<CursorReport>,
) -> Answer<CursorReply> {
    state.check_access(&caller, report.cursor.namespace).await?;
    let outcome = state.metadata.report_cursor(&report.cursor, caller.device).await;
    Ok(Reply(match outcome.map_err(ServiceError::from)? {
        cairn_metadata::CursorReport::Accepted => {
            let cursor = &report.cursor;
            state.notifier.read(caller.device, cursor.namespace, cursor.seq);
            CursorReply::Accepted
        }
        cairn_metadata::CursorReport::DeviceRestored => CursorReply::DeviceRestored,
    }))
}
