//! Steps that the server has sent along with its news, kept for the calls that they answer.
//!
//! Nothing is believed for it: a page is used by whoever stands exactly where it begins, a content by whoever asks for exactly
//! that, and it is checked then as what was fetched. What is not here, or not any more, is asked for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cairn_api::frame::{Frame, FrameReader};
use cairn_api::sync::{
    ChangesReply, ChangesRequest, Event, Fetch, FetchItem, FetchStart, FetchStatus, Step, StepContent,
    to_cbor,
};
use cairn_core::change::JournalEntry;
use cairn_core::ids::NamespaceId;
use cairn_core::limits::STEP_BYTES;
use cairn_core::rev::{Cursor, Seq};

use super::Fetched;

/// Bytes of all that is kept; the oldest gives way.
const KEPT_BYTES: usize = 1 << 20;
/// Namespaces of which it is known how far they go. An account has few.
const NAMESPACES: usize = 64;

/// What was sent along and not used yet.
#[derive(Debug, Default)]
pub(super) struct Steps {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// With their bytes, the oldest first.
    steps: VecDeque<(Step, usize)>,
    bytes: usize,
    /// How far each namespace goes as far as the server has said: a page that ends earlier is not the last.
    heads: BTreeMap<NamespaceId, Seq>,
}

impl Steps {
    /// Forgets everything: the stream is new, and so the server may be.
    pub(super) fn begin(&self) {
        *self.kept() = Kept::default();
    }

    /// Keeps what came with an event; the event without it.
    pub(super) fn take_in(&self, event: Event) -> Event {
        let Some((namespace, seq)) = event.head() else {
            return event;
        };
        let mut kept = self.kept();
        kept.note(namespace, seq);
        if let Event::Step(step) = event {
            kept.put(*step);
        }
        Event::Head { namespace, seq }
    }

    /// Notes where the server said that a namespace stands.
    pub(super) fn note(&self, cursor: &Cursor) {
        self.kept().note(cursor.namespace, cursor.seq);
    }

    /// The answer to a question for the journal, if it is here.
    pub(super) fn changes(&self, request: &ChangesRequest) -> Option<ChangesReply> {
        let mut kept = self.kept();
        kept.drop_before(&request.cursor);
        let mut steps = kept.steps.iter().rev();
        let (step, rest) = steps.find_map(|(step, _)| Some((step, rest_after(step, &request.cursor)?)))?;
        // Who asks for as few wants to know whether the server stands there, and not what is new.
        if request.wait_seconds > 0 || rest.len() >= request.limit as usize {
            return None;
        }
        let head = kept.heads.get(&step.cursor.namespace)?;
        Some(ChangesReply::Page {
            entries: rest.to_vec(),
            cursor: step.cursor,
            has_more: step.cursor.seq < *head,
        })
    }

    /// The answer to a question for content, if all of it is here; then it is here no more.
    pub(super) fn fetch(&self, request: &Fetch) -> Option<Vec<Fetched>> {
        let mut kept = self.kept();
        let is_here = |item| kept.find(request.namespace, item).is_some();
        if request.items.is_empty() || !request.items.iter().all(is_here) {
            return None;
        }
        let mut fetched = Vec::new();
        for (index, item) in (0..).zip(&request.items) {
            let frames = frames_of(&kept.take(request.namespace, item)?)?;
            fetched.push(Fetched::Start(FetchStart {
                item: index,
                status: FetchStatus::Found,
                frames: frames.len() as u64,
            }));
            fetched.extend(frames);
        }
        Some(fetched)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn note(&mut self, namespace: NamespaceId, seq: Seq) {
        if self.heads.len() >= NAMESPACES && !self.heads.contains_key(&namespace) {
            return;
        }
        let head = self.heads.entry(namespace).or_default();
        *head = (*head).max(seq);
    }

    fn put(&mut self, step: Step) {
        let bytes = to_cbor(&step).len();
        if bytes > STEP_BYTES || !is_sound(&step) {
            tracing::debug!(bytes, "what came with the news is no step");
            return;
        }
        self.bytes += bytes;
        self.steps.push_back((step, bytes));
        while self.bytes > KEPT_BYTES
            && let Some((_, bytes)) = self.steps.pop_front()
        {
            self.bytes -= bytes;
        }
    }

    /// Drops what the cursor of its namespace has passed. What ends there stays: its contents are fetched next.
    fn drop_before(&mut self, cursor: &Cursor) {
        let is_passed =
            |step: &Step| step.cursor.namespace == cursor.namespace && step.cursor.seq < cursor.seq;
        self.steps.retain(|(step, _)| !is_passed(step));
        self.bytes = self.steps.iter().map(|(_, bytes)| bytes).sum();
    }

    /// Where the answer to an item is: the step, and the place in it.
    fn find(&self, namespace: NamespaceId, item: &FetchItem) -> Option<(usize, usize)> {
        self.steps.iter().enumerate().find_map(|(at, (step, _))| {
            let mut contents = step.contents.iter();
            let place = contents.position(|content| content.item == *item);
            Some((at, place.filter(|_| step.cursor.namespace == namespace)?))
        })
    }

    fn take(&mut self, namespace: NamespaceId, item: &FetchItem) -> Option<StepContent> {
        let (at, place) = self.find(namespace, item)?;
        let (step, bytes) = self.steps.get_mut(at)?;
        let content = step.contents.swap_remove(place);
        let less = content.frames.len().min(*bytes);
        *bytes -= less;
        self.bytes -= less;
        Some(content)
    }
}

/// Whether a step is what it says: all entries of its journal from its beginning to its end.
fn is_sound(step: &Step) -> bool {
    let (from, to) = (&step.from, &step.cursor);
    let mut last = from.seq;
    let is_dense = step.entries.iter().all(|entry| {
        last = last.next();
        entry.seq == last
    });
    let ends = step
        .entries
        .last()
        .is_some_and(|entry| (entry.seq, entry.group_last, entry.chain) == (to.seq, to.seq, to.chain));
    is_dense && ends && (from.namespace, from.incarnation) == (to.namespace, to.incarnation)
}

/// What follows in a step for a reader that stands where it begins, or at the end of a group in it; `None` for any other, and when
/// nothing follows.
fn rest_after<'s>(step: &'s Step, cursor: &Cursor) -> Option<&'s [JournalEntry]> {
    if *cursor == step.from {
        return Some(&step.entries);
    }
    if (cursor.namespace, cursor.incarnation) != (step.from.namespace, step.from.incarnation) {
        return None;
    }
    let at = step.entries.iter().position(|entry| {
        (entry.seq, entry.group_last, entry.chain) == (cursor.seq, cursor.seq, cursor.chain)
    })?;
    Some(&step.entries[at + 1..]).filter(|rest| !rest.is_empty())
}

/// The frames of a content; `None` where they are none.
fn frames_of(content: &StepContent) -> Option<Vec<Fetched>> {
    let mut reader = FrameReader::new();
    reader.push(&content.frames);
    let mut fetched = Vec::new();
    let mut bytes = 0;
    while let Some(frame) = reader.next_frame().ok()? {
        bytes += frame.wire_len();
        fetched.push(match frame {
            Frame::Chunk(chunk) => Fetched::Chunk(chunk),
            Frame::Delta(delta) => Fetched::Delta(delta),
            Frame::Message(_) | Frame::End => return None,
        });
    }
    (bytes == content.frames.len()).then_some(fetched)
}

#[cfg(test)]
mod tests;
