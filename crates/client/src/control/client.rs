//! Asks the daemon.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::message::{io_error, receive, send};
use super::{ControlError, PATIENCE, REPLY_BYTES, REQUEST_BYTES, Reply, Request};

/// How long an answer about conflicts may take.
const CONFLICT_PATIENCE: Duration = Duration::from_secs(300);

/// Asks the daemon that listens at `path`.
///
/// # Errors
/// [`ControlError::NotRunning`] when nobody listens, [`ControlError::NotResponding`] when the answer takes too long
/// (a wait may take its own time and a little more), [`ControlError::Refused`], and those of the socket.
pub async fn ask(path: &Path, request: &Request) -> Result<Reply, ControlError> {
    let patience = match request {
        Request::Wait { timeout_ms: None } | Request::Verify { .. } => None,
        Request::Wait { timeout_ms: Some(ms) } => Some(PATIENCE + Duration::from_millis(*ms)),
        // The server is asked, a pass that is under way is waited for.
        Request::Conflicts | Request::Resolve { .. } => Some(CONFLICT_PATIENCE),
        _ => Some(PATIENCE),
    };
    match ask_socket(path, request, patience).await? {
        Reply::Refused { message } => Err(ControlError::Refused { message }),
        reply => Ok(reply),
    }
}

/// Asks whoever listens at `path`, for the sockets that speak in other words; waits for ever without `patience`.
///
/// # Errors
/// As [`ask`], without [`ControlError::Refused`].
pub async fn ask_socket<Q: Serialize + Sync, A: DeserializeOwned>(
    path: &Path,
    request: &Q,
    patience: Option<Duration>,
) -> Result<A, ControlError> {
    let mut socket = connect(path).await?;
    let not_responding = || ControlError::NotResponding {
        path: path.to_owned(),
    };
    let answer = async {
        send(&mut socket, path, REQUEST_BYTES, request).await?;
        receive(&mut socket, path, REPLY_BYTES)
            .await?
            .ok_or_else(not_responding)
    };
    match patience {
        None => answer.await,
        Some(patience) => timeout(patience, answer)
            .await
            .unwrap_or_else(|_| Err(not_responding())),
    }
}

/// Connects; a socket that nobody serves is the same as none.
pub(super) async fn connect(path: &Path) -> Result<UnixStream, ControlError> {
    super::server::check_length(path)?;
    match UnixStream::connect(path).await {
        Ok(socket) => Ok(socket),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                Err(ControlError::NotRunning {
                    path: path.to_owned(),
                })
            }
            _ => Err(io_error("connect to", path, error)),
        },
    }
}
