//! What is little in edits of large files: it waits, and travels together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cairn_api::frame::Frame;
use cairn_core::limits::DELTA_WORK_BYTES;

use super::deltas::NewChunk;

/// Bytes on the wire of a window that waits for others.
const LITTLE_BYTES: usize = 32 << 10;
/// Bytes of chunks that wait, and of the body if the server refuses a delta.
const HELD_BYTES: usize = 6 << 20;
/// Bytes on the wire that may travel in front of a commit's operations.
const WITH_COMMIT_BYTES: usize = 1 << 20;

/// A chunk as it travels.
pub(super) struct Encoded {
    pub(super) frame: Frame,
    /// Bytes that the server goes over to make the chunk of a delta; none for a whole one.
    pub(super) work: usize,
}

/// What is little, of all files of a run: it is sent at the end, together.
#[derive(Default)]
pub(super) struct Later {
    windows: Mutex<Vec<Waiting>>,
}

/// Chunks as they travel, and the chunks that they stand for.
#[derive(Default)]
pub(super) struct Little {
    pub(super) encoded: Vec<Encoded>,
    pub(super) windows: Vec<Arc<Vec<NewChunk>>>,
}

/// A window that waits, as it travels and as it is.
pub(super) type Waiting = (Vec<Encoded>, Arc<Vec<NewChunk>>);

impl Little {
    pub(super) const fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// Whether it may travel in front of a commit, in the same request.
    pub(super) fn suits_commit(&self) -> bool {
        wire_len(&self.encoded) <= WITH_COMMIT_BYTES
    }
}

impl Later {
    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waited, to be sent with one request.
    pub(super) fn take(&self) -> Little {
        let (encoded, windows): (Vec<_>, Vec<_>) = self.lock().drain(..).unzip();
        let encoded = encoded.into_iter().flatten().collect();
        Little { encoded, windows }
    }

    /// Takes a window in; returns it when it is not little, or there is no room.
    pub(super) fn take_in(&self, encoded: Vec<Encoded>, window: Arc<Vec<NewChunk>>) -> Option<Waiting> {
        let plain =
            |window: &[NewChunk]| -> usize { window.iter().map(|chunk| chunk.plain.bytes.len()).sum() };
        let mut windows = self.lock();
        let (mut held, mut held_work) = (plain(&window), work(&encoded));
        for (encoded, window) in windows.iter() {
            held += plain(window);
            held_work += work(encoded);
        }
        if wire_len(&encoded) > LITTLE_BYTES || held > HELD_BYTES || held_work > DELTA_WORK_BYTES {
            return Some((encoded, window));
        }
        windows.push((encoded, window));
        None
    }
}

/// Deals chunks out to requests, in order: a request may ask for so much work and no more.
pub(super) fn requests(encoded: Vec<Encoded>) -> Vec<Vec<Frame>> {
    let mut requests: Vec<Vec<Frame>> = Vec::new();
    let mut work = 0;
    for next in encoded {
        work += next.work;
        match requests.last_mut() {
            Some(request) if work <= DELTA_WORK_BYTES => request.push(next.frame),
            _ => {
                work = next.work;
                requests.push(vec![next.frame]);
            }
        }
    }
    requests
}

fn wire_len(encoded: &[Encoded]) -> usize {
    encoded.iter().map(|encoded| encoded.frame.wire_len()).sum()
}

fn work(encoded: &[Encoded]) -> usize {
    encoded.iter().map(|encoded| encoded.work).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIRD: usize = DELTA_WORK_BYTES / 3;

    fn encoded(work: usize) -> Encoded {
        let frame = Frame::End;
        Encoded { frame, work }
    }

    #[test]
    fn what_waits_is_no_more_work_than_one_request_may_ask_for() {
        let later = Later::default();
        let take_in = |work| later.take_in(vec![encoded(work)], Arc::new(Vec::new()));
        assert!(take_in(THIRD).is_none());
        assert!(take_in(2 * THIRD).is_none());
        assert!(take_in(THIRD).is_some());
        assert!(take_in(0).is_none(), "whole chunks ask for none");
        assert_eq!(later.take().encoded.len(), 3);
        assert!(take_in(THIRD).is_none(), "it is empty again");
    }

    #[test]
    fn a_request_asks_for_as_much_work_as_it_may() {
        let work = [THIRD, 0, 2 * THIRD, 0, THIRD, DELTA_WORK_BYTES, THIRD, THIRD];
        let requests = requests(work.map(encoded).into());
        let lens: Vec<usize> = requests.iter().map(Vec::len).collect();
        assert_eq!(lens, [4, 1, 1, 2]);
    }
}
