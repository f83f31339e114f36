//! Bodies: how frames go out and come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec;

use bytes::{Bytes, BytesMut};
use cairn_api::frame::{Frame, FrameReader};
use futures::StreamExt;

use super::call::{Server, idle};
use crate::progress::Progress;
use crate::remote::transport::Body;
use crate::remote::{RemoteError, RemoteResult};

/// Small frames are sent together up to this many bytes: a write and a record of TLS for each would cost more than
/// what is in them.
const BLOCK_BYTES: usize = 64 * 1024;

/// Counts what moves, so that a call that goes on is told from one that hangs.
#[derive(Debug, Default)]
pub(super) struct Activity(AtomicU64);

impl Activity {
    pub(super) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Encodes frames as the connection takes them, and lets go of each as soon as it is encoded.
pub(super) struct Blocks {
    frames: vec::IntoIter<Frame>,
    /// What is encoded and not yet taken: a block that goes out slowly counts as activity piece by piece.
    rest: Bytes,
    activity: Arc<Activity>,
    progress: Arc<Progress>,
}

impl Blocks {
    pub(super) fn new(frames: Vec<Frame>, activity: Arc<Activity>, progress: Arc<Progress>) -> Self {
        Self {
            frames: frames.into_iter(),
            rest: Bytes::new(),
            activity,
            progress,
        }
    }
}

impl Iterator for Blocks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            let mut block = BytesMut::new();
            while block.len() < BLOCK_BYTES {
                let Some(frame) = self.frames.next() else { break };
                frame.encode(&mut block);
            }
            self.rest = block.freeze();
        }
        if self.rest.is_empty() {
            return None;
        }
        let block = self.rest.split_to(self.rest.len().min(BLOCK_BYTES));
        self.activity.note();
        self.progress.up.wire(block.len() as u64);
        Some(block)
    }
}

/// Frames as they arrive.
pub(super) struct IncomingFrames {
    server: Server,
    bytes: Body,
    reader: FrameReader,
    silence: std::time::Duration,
    progress: Arc<Progress>,
}

impl IncomingFrames {
    pub(super) fn new(
        server: Server,
        bytes: Body,
        silence: std::time::Duration,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            server,
            bytes,
            reader: FrameReader::new(),
            silence,
            progress,
        }
    }

    /// The next frame that carries something; `None` after the end frame.
    pub(super) async fn next(&mut self) -> RemoteResult<Option<Frame>> {
        loop {
            let next = self
                .reader
                .next_frame()
                .map_err(|error| self.server.malformed(error.to_string()))?;
            match next {
                Some(Frame::End) => return Ok(None),
                Some(frame) => return Ok(Some(frame)),
                None => self.receive().await?,
            }
        }
    }

    /// Feeds the reader once.
    async fn receive(&mut self) -> RemoteResult<()> {
        match idle(&self.server, self.silence, self.bytes.next()).await? {
            Some(Ok(bytes)) => {
                self.progress.down.wire(bytes.len() as u64);
                self.reader.push(&bytes);
                Ok(())
            }
            Some(Err(error)) => Err(self.server.unreachable(error)),
            None => Err(self.cut()),
        }
    }

    fn cut(&self) -> RemoteError {
        let what = match self.reader.finish() {
            Ok(()) => "it went on after its end".to_owned(),
            Err(error) => error.to_string(),
        };
        self.server.malformed(what)
    }
}
