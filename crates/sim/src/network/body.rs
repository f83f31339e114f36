//! Bodies on their way, block by block, with an end that can be told from a broken connection.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use cairn_client::remote::transport::{Body, TransportError};
use futures::stream::{self, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Broken;
use super::plan::Plan;
use crate::trace::Trace;

/// Blocks that may be on their way at once.
const WINDOW: usize = 2;

enum Piece {
    Block(Bytes),
    End,
}

/// Where a body goes in.
pub(super) struct Sender(mpsc::Sender<Piece>);

/// Where a body comes out.
pub(super) struct Receiver {
    pieces: mpsc::Receiver<Piece>,
    /// What is there already, when nothing more comes through the channel.
    ready: Option<VecDeque<Bytes>>,
}

pub(super) fn pipe() -> (Sender, Receiver) {
    let (sender, pieces) = mpsc::channel(WINDOW);
    (Sender(sender), Receiver { pieces, ready: None })
}

impl Sender {
    /// False when nobody reads any more.
    pub(super) async fn block(&self, block: Bytes) -> bool {
        self.0.send(Piece::Block(block)).await.is_ok()
    }

    pub(super) async fn end(&self) {
        // Who does not read any more needs no end.
        drop(self.0.send(Piece::End).await);
    }
}

impl Receiver {
    /// A body that is there as a whole.
    pub(super) fn of(blocks: Vec<Bytes>) -> Self {
        let (_, pieces) = mpsc::channel(1);
        Self {
            pieces,
            ready: Some(blocks.into()),
        }
    }

    /// The next block, `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        if let Some(ready) = &mut self.ready {
            return Ok(ready.pop_front());
        }
        match self.pieces.recv().await {
            Some(Piece::Block(block)) => Ok(Some(block)),
            Some(Piece::End) => {
                self.ready = Some(VecDeque::new());
                Ok(None)
            }
            None => Err(Broken::Cut),
        }
    }

    /// Reads it to its end and forgets it.
    pub(super) async fn drain(mut self) {
        while let Ok(Some(_)) = self.next().await {}
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Broken>> + Send + 'static {
        stream::unfold(Some(self), |receiver| async {
            let mut receiver = receiver?;
            match receiver.next().await {
                Ok(Some(block)) => Some((Ok(block), Some(receiver))),
                Ok(None) => None,
                Err(broken) => Some((Err(broken), None)),
            }
        })
    }
}

/// A reply's body as the client reads it, over a link that may break.
pub(super) struct Tap {
    body: Receiver,
    link: CancellationToken,
    plan: Plan,
    _gone: DropGuard,
    trace: Arc<Trace>,
    name: String,
    read: usize,
    hasher: blake3::Hasher,
    torn: VecDeque<Bytes>,
}

impl Tap {
    pub(super) fn new(
        body: Receiver,
        link: CancellationToken,
        plan: Plan,
        gone: DropGuard,
        trace: Arc<Trace>,
        name: &str,
        number: u64,
    ) -> Self {
        Self {
            body,
            link,
            plan,
            _gone: gone,
            trace,
            name: format!("{name} #{number}"),
            read: 0,
            hasher: blake3::Hasher::new(),
            torn: VecDeque::new(),
        }
    }

    pub(super) fn into_stream(self) -> Body {
        stream::unfold(Some(self), |tap| async {
            let mut tap = tap?;
            match tap.next().await {
                Ok(Some(block)) => Some((Ok(block), Some(tap))),
                Ok(None) => None,
                Err(broken) => {
                    tap.trace.line(
                        &tap.name,
                        format_args!("breaks after {} bytes: {broken}", tap.read),
                    );
                    if tap.plan.stalls {
                        std::future::pending::<()>().await;
                    }
                    Some((Err(TransportError::from(broken)), None))
                }
            }
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        if let Some(block) = self.torn.pop_front() {
            return Ok(Some(block));
        }
        if self.plan.cut_down.is_some_and(|cut| self.read >= cut) {
            self.trace.count("cut down");
            return Err(Broken::Cut);
        }
        let block = tokio::select! {
            biased;
            () = self.link.cancelled() => return Err(Broken::Partition),
            block = self.body.next() => block?,
        };
        let Some(mut block) = block else {
            let hash = self.hasher.finalize().to_hex();
            self.trace.line(
                &self.name,
                format_args!("read {} bytes, {}", self.read, &hash[..8]),
            );
            return Ok(None);
        };
        if let Some(cut) = self.plan.cut_down {
            block.truncate(cut - self.read);
        }
        self.read += block.len();
        self.hasher.update(&block);
        if let Some(piece) = self.plan.piece
            && piece < block.len()
        {
            let rest = block.split_off(piece);
            self.torn.push_back(rest);
        }
        Ok(Some(block))
    }
}
