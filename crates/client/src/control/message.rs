//! Messages on a local socket: four bytes of length, little endian, then JSON.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::ControlError;

/// Sends one message.
///
/// # Errors
/// [`ControlError::TooLong`] when it has more than `limit` bytes, nothing is sent then; [`ControlError::Io`].
pub async fn send<T: Serialize>(
    socket: &mut (impl AsyncWrite + Unpin),
    path: &Path,
    limit: usize,
    message: &T,
) -> Result<(), ControlError> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message).map_err(ControlError::Malformed)?;
    let size = bytes.len() - 4;
    let Some(header) = u32::try_from(size).ok().filter(|_| size <= limit) else {
        return Err(ControlError::TooLong { size, limit });
    };
    bytes[..4].copy_from_slice(&header.to_le_bytes());
    let written = async {
        socket.write_all(&bytes).await?;
        socket.flush().await
    };
    written.await.map_err(|source| io_error("write to", path, source))
}

/// Receives one message; `None` when the other side went away before it.
///
/// # Errors
/// [`ControlError::TooLong`] before anything of a message with more than `limit` bytes is read,
/// [`ControlError::Malformed`], [`ControlError::Io`].
pub async fn receive<T: DeserializeOwned>(
    socket: &mut (impl AsyncRead + Unpin),
    path: &Path,
    limit: usize,
) -> Result<Option<T>, ControlError> {
    let failed = |source| io_error("read from", path, source);
    let mut header = [0; 4];
    match socket.read_exact(&mut header).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let size = u32::from_le_bytes(header) as usize;
    if size > limit {
        return Err(ControlError::TooLong { size, limit });
    }
    let mut bytes = vec![0; size];
    socket.read_exact(&mut bytes).await.map_err(failed)?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(ControlError::Malformed)
}

pub(super) fn io_error(action: &'static str, path: &Path, source: io::Error) -> ControlError {
    ControlError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
