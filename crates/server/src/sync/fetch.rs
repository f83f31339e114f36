//! `POST /sync/1/fetch`: the content of files, as a stream of frames.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cairn_api::sync::{FRAMES, Fetch};
use futures::stream;

use crate::auth::Caller;
use crate::body::Message;
use crate::error::ServiceError;
use crate::service::fetch;
use crate::state::State;

pub(super) async fn fetch(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<Fetch>,
) -> Result<Response, ServiceError> {
    let frames = fetch::fetch(&state, &caller, request).await?;
    let blocks = stream::unfold(frames, |mut frames| async move {
        let block = frames.recv().await?;
        Some((Ok::<_, Infallible>(block), frames))
    });
    Ok(([(header::CONTENT_TYPE, FRAMES)], Body::from_stream(blocks)).into_response())
}
