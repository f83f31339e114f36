//! Requests as no client of ours would send them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use cairn_api::error::ApiError;
use cairn_api::sync::from_cbor;
use minicbor::Decode;

/// How long a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(40);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as the message it should be.
    ///
    /// # Errors
    /// When it is something else.
    pub fn message<T: for<'b> Decode<'b, ()>>(&self) -> Result<T> {
        from_cbor(&self.body).with_context(|| format!("{self:?} is not the message it should be"))
    }

    /// The body as a refusal.
    ///
    /// # Errors
    /// When it is something else.
    pub fn error(&self) -> Result<ApiError> {
        self.message()
    }
}

/// Sends one request on a connection of its own and reads the whole answer.
///
/// # Errors
/// When there is no answer.
pub fn send(
    server: SocketAddr,
    method_and_path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    let mut stream = TcpStream::connect(server).context("cannot connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = format!(
        "{method_and_path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    // A server may refuse before it has read all, and close: the answer counts.
    let written = stream.write_all(body);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    parse(&answer)
        .with_context(|| format!("no answer to {method_and_path} (written {written:?}, read {read:?})"))
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("the head does not end")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .context("no status")?
        .parse()
        .context("no status")?;
    let rest = &bytes[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") {
        unchunked(rest)?
    } else {
        rest.to_vec()
    };
    Ok(Answer { status, body })
}

fn unchunked(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest
            .windows(2)
            .position(|two| two == b"\r\n")
            .context("a piece without a length")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line])?.trim(), 16)?;
        if length == 0 {
            return Ok(body);
        }
        let start = line + 2;
        body.extend(rest.get(start..start + length).context("a piece was cut")?);
        rest = rest.get(start + length + 2..).context("a piece was cut")?;
    }
}
