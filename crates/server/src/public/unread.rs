//! Bodies that a route did not want.
//!
//! A route that refuses a call may leave its body unread. The connection would then be closed, which a client finds out with
//! its next call on it, or while it still sends: instead of the refusal it sees a broken connection.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::future::poll_fn;
use hyper::body::{Frame, SizeHint};

use super::call::UPLOAD_BYTES;
use super::{PREFIX, upload_links};
use crate::oauth;

/// How much of the rest of a body is read: of one that is too long for a request too, where it is not far too long.
const MOST_BYTES: usize = 2 * UPLOAD_BYTES;
/// How long the rest of a body is waited for before the refusal is sent all the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// A body that can be taken up again where whoever it was lent to has left it.
#[derive(Clone)]
struct Lent(Arc<Mutex<Body>>);

impl Lent {
    fn with<T>(&self, work: impl FnOnce(&mut Body) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads and drops what is left, and tells whether it came to the end.
    async fn discard(&self) -> bool {
        let mut left = MOST_BYTES;
        while !self.with(|body| body.is_end_stream()) {
            let frame = poll_fn(|context| self.with(|body| Pin::new(body).poll_frame(context))).await;
            let Some(frame) = frame else { return true };
            let Ok(frame) = frame else { return false };
            let len = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(len) else {
                return false;
            };
            left = rest;
        }
        true
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

/// The outermost layer: routes for apps answer when the body has come to its end. Devices' own routes see to it
/// themselves.
pub(crate) async fn read_to_the_end(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_for_apps = [PREFIX, upload_links::PREFIX]
        .iter()
        .any(|prefix| path.starts_with(prefix))
        || [oauth::TOKEN, oauth::OLD_TOKEN].contains(&path);
    if !is_for_apps {
        return next.run(request).await;
    }
    let has_connections = request.version() < Version::HTTP_2;
    let (parts, body) = request.into_parts();
    let body = Lent(Arc::new(Mutex::new(body)));
    let request = Request::from_parts(parts, Body::new(body.clone()));
    let mut response = next.run(request).await;
    let is_read = tokio::time::timeout(PATIENCE, body.discard()).await;
    if is_read != Ok(true) && has_connections {
        // It will be closed. A client that knows does not make its next call on it.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
