//! Small steps of namespaces, for the event streams of the devices that follow them: what each would ask for next, made once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use cairn_api::frame::Frame;
use cairn_api::sync::{Event, Fetch, FetchItem, FetchPart, Step, StepContent, to_cbor};
use cairn_core::base::{Base, BaseReader, is_long, may_come_as_edit, runs};
use cairn_core::change::{Change, JournalEntry};
use cairn_core::ids::{ChunkHash, DeviceId, NodeId};
use cairn_core::limits::STEP_BYTES;
use cairn_core::manifest::{ChunkEntry, Manifest};
use cairn_core::node::{Content, FileContent};
use cairn_core::rev::{Cursor, Seq};
use cairn_metadata::Changes;
use tokio::sync::{OnceCell, Semaphore};

use super::contents::{ChunkWalk, damaged, load_page};
use super::fetch;
use crate::auth::Caller;
use crate::error::ServiceError;
use crate::state::State;

/// Entries of a step. With more it is no small one, and the devices ask.
const ENTRIES: usize = 64;
/// Steps that are kept, the newest: the streams of an account ask for the same one within moments. Each takes as much again
/// decoded as it may take encoded, so all of them 4 MiB.
const KEPT: usize = 64;
/// Steps of which the contents are gathered at once; each holds 4 MiB at most.
const GATHERERS: usize = 2;
/// Bytes of a file up to which it is looked at whole: what compresses well may fit.
const WHOLE_BYTES: u64 = 4 * STEP_BYTES as u64;
/// Bytes of the chunks of a file in which something is new, up to which they are made into deltas.
const CHANGED_BYTES: u64 = 512 << 10;
/// Chunks of a file up to which what is new in it is looked for: 1 GiB of it, and 3 MiB of memory for both versions.
const CHUNKS: u64 = 1 << 14;

/// The steps that were asked for last.
pub(crate) struct Steps {
    kept: Mutex<VecDeque<Arc<Kept>>>,
    gatherers: Semaphore,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            gatherers: Semaphore::new(GATHERERS),
        }
    }
}

impl Steps {
    /// The step from one position to another or beyond; whoever comes first makes it, and others wait for that.
    fn get(&self, from: &Cursor, to: Seq) -> Arc<Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(step) = kept.iter().find(|step| step.from == *from && step.to == to) {
            return Arc::clone(step);
        }
        if kept.len() == KEPT {
            kept.pop_front();
        }
        let step = Arc::new(Kept {
            from: *from,
            to,
            page: OnceCell::new(),
            contents: OnceCell::new(),
        });
        kept.push_back(Arc::clone(&step));
        step
    }
}

struct Kept {
    from: Cursor,
    to: Seq,
    /// `None` where the step is too large.
    page: OnceCell<Option<Page>>,
    contents: OnceCell<Vec<Made>>,
}

struct Page {
    entries: Vec<JournalEntry>,
    cursor: Cursor,
    /// What is left for contents.
    room: usize,
}

/// A content, who wrote it, and how it is asked for.
struct Made {
    device: DeviceId,
    way: Way,
    content: StepContent,
}

/// How a device asks for a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By itself.
    Alone,
    /// In one request with others: where one of them is not here all of them are asked for.
    Together,
}

/// What a stream may say when a namespace has moved on.
pub(crate) enum Told {
    /// The step.
    Step(Box<Step>),
    /// Where it stands, no more: the device wrote it all itself.
    Own(Cursor),
    /// The same: it is no small step.
    Large,
}

/// What to tell a device that was told of `from` when the journal has moved to `to`.
///
/// # Errors
/// [`ServiceError::NotFound`] when the device may not read the namespace any more, and those of the stores.
pub(crate) async fn step(
    state: &Arc<State>,
    caller: &Caller,
    from: &Cursor,
    to: Seq,
) -> Result<Told, ServiceError> {
    state.check_access(caller, from.namespace).await?;
    if to.get().saturating_sub(from.seq.get()) > ENTRIES as i64 {
        return Ok(Told::Large);
    }
    let kept = state.steps.get(from, to);
    let Some(page) = kept.page.get_or_try_init(|| page(state, from)).await? else {
        return Ok(Told::Large);
    };
    if page.entries.iter().all(|entry| entry.device == caller.device) {
        return Ok(Told::Own(page.cursor));
    }
    let contents = kept
        .contents
        .get_or_try_init(|| contents(state, from, page))
        .await?;
    // Nobody reads back what it wrote.
    let foreign = contents.iter().filter(|made| made.device != caller.device);
    Ok(Told::Step(Box::new(Step {
        from: *from,
        entries: page.entries.clone(),
        cursor: page.cursor,
        contents: foreign.map(|made| made.content.clone()).collect(),
    })))
}

async fn page(state: &State, from: &Cursor) -> Result<Option<Page>, ServiceError> {
    let changes = state.metadata.changes(from, ENTRIES).await?;
    let Changes::Page {
        entries,
        cursor,
        has_more: false,
    } = changes
    else {
        return Ok(None);
    };
    if entries.is_empty() || entries.len() > ENTRIES {
        return Ok(None);
    }
    let bare = Event::Step(Box::new(Step {
        from: *from,
        entries,
        cursor,
        contents: Vec::new(),
    }));
    // The length of the list of contents is told in a few bytes more.
    let room = STEP_BYTES.checked_sub(to_cbor(&bare).len() + 8);
    let Event::Step(step) = bare else { return Ok(None) };
    Ok(room.map(|room| Page {
        entries: step.entries,
        cursor,
        room,
    }))
}

/// What fits of the contents that the step has left.
async fn contents(state: &Arc<State>, from: &Cursor, page: &Page) -> Result<Vec<Made>, ServiceError> {
    let busy = |_closed| ServiceError::Busy {
        retry_after: std::time::Duration::from_secs(1),
    };
    let _turn = state.steps.gatherers.acquire().await.map_err(busy)?;
    let files = written(&page.entries);
    let count = files.len();
    let mut room = page.room;
    let mut is_one_missing = false;
    let mut all = Vec::new();
    for (entry, file) in files {
        let older = older(state, from, entry.node).await?;
        let way = way(file, older.is_some(), count);
        if is_one_missing && way == Way::Together {
            continue;
        }
        let asked = Asked {
            entry,
            file,
            older,
            way,
        };
        let made = match content(state, from, asked, room).await {
            Ok(made) => made,
            // What cannot be read is told when it is asked for.
            Err(error) => {
                tracing::debug!(namespace.id = %from.namespace, node.id = %entry.node, %error, "a content does not go along");
                None
            }
        };
        let bytes: usize = made.iter().flatten().map(|content| to_cbor(content).len()).sum();
        match made.filter(|_| bytes <= room) {
            Some(made) => {
                room -= bytes;
                let device = entry.device;
                all.extend(made.into_iter().map(|content| Made { device, way, content }));
            }
            None => is_one_missing |= way == Way::Together,
        }
    }
    if is_one_missing {
        all.retain(|made| made.way == Way::Alone);
    }
    Ok(all)
}

/// The files that have other content after the step, each with the entry that wrote it.
fn written(entries: &[JournalEntry]) -> Vec<(&JournalEntry, &FileContent)> {
    let mut last: BTreeMap<NodeId, (&JournalEntry, &FileContent)> = BTreeMap::new();
    for entry in entries {
        match &entry.content {
            Some(Content::File(file)) => {
                last.insert(entry.node, (entry, file));
            }
            _ if entry.change == Change::Deleted => {
                last.remove(&entry.node);
            }
            _ => {}
        }
    }
    let mut files: Vec<_> = last.into_values().collect();
    files.sort_unstable_by_key(|(entry, _)| entry.seq);
    files
}

/// The version of a file before the step, and the entry that wrote it.
async fn older(
    state: &State,
    from: &Cursor,
    node: NodeId,
) -> Result<Option<(Seq, FileContent)>, ServiceError> {
    let before = Some(from.seq.next());
    let older = state.metadata.revisions(from.namespace, node, before, 1).await?;
    Ok(older.nodes.into_iter().find_map(|node| match node.content {
        Content::File(older) => Some((node.content_seq, older)),
        Content::Directory | Content::Symlink(_) => None,
    }))
}

/// How one of `count` files is asked for.
fn way(file: &FileContent, has_older: bool, count: usize) -> Way {
    match is_long(file) || (has_older && may_come_as_edit(file, count)) {
        true => Way::Alone,
        false => Way::Together,
    }
}

/// A file that a device will ask for.
struct Asked<'s> {
    entry: &'s JournalEntry,
    file: &'s FileContent,
    older: Option<(Seq, FileContent)>,
    way: Way,
}

/// What answers a device that asks for a file; `None` where that is too much.
async fn content(
    state: &Arc<State>,
    from: &Cursor,
    asked: Asked<'_>,
    room: usize,
) -> Result<Option<Vec<StepContent>>, ServiceError> {
    let (node, content_seq) = (asked.entry.node, asked.entry.seq);
    let Some(parts) = parts(state, asked).await? else {
        return Ok(None);
    };
    let item = |part| FetchItem {
        node,
        content_seq,
        part,
    };
    let request = Fetch {
        namespace: from.namespace,
        items: parts.into_iter().map(item).collect(),
    };
    let Some(frames) = fetch::little(state, &request, room).await? else {
        return Ok(None);
    };
    let contents = request.items.into_iter().zip(frames);
    Ok(Some(
        contents
            .map(|(item, frames)| StepContent {
                item,
                frames: joined(&frames),
            })
            .collect(),
    ))
}

fn joined(frames: &[Frame]) -> minicbor::bytes::ByteVec {
    let mut bytes = BytesMut::with_capacity(frames.iter().map(Frame::wire_len).sum());
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    Vec::from(bytes).into()
}

/// The parts of a file that a device asks for which has the version before the step; `None` where they are much.
async fn parts(state: &State, asked: Asked<'_>) -> Result<Option<Vec<FetchPart>>, ServiceError> {
    let Asked { file, older, way, .. } = asked;
    match (way, older) {
        // It has them.
        (_, Some((_, older))) if older.file_id == file.file_id => Ok(Some(Vec::new())),
        (_, _) if file.size == 0 => Ok(Some(Vec::new())),
        (Way::Alone, Some((seq, older))) => edit(state, seq, &older, file).await,
        (Way::Alone, None) => Ok(None),
        (Way::Together, _) if file.size > WHOLE_BYTES => Ok(None),
        (Way::Together, _) => {
            let count = file.manifest.chunk_count();
            Ok(Some(vec![FetchPart::Chunks { first: 0, count }]))
        }
    }
}

/// A chunk that the older version does not have, its place among those of the file, and what to make it from.
struct Fresh {
    index: u64,
    base: Vec<ChunkHash>,
}

/// What is new in a file against an older version; `None` where it is much.
async fn edit(
    state: &State,
    older_seq: Seq,
    older: &FileContent,
    file: &FileContent,
) -> Result<Option<Vec<FetchPart>>, ServiceError> {
    let longest = older.manifest.chunk_count().max(file.manifest.chunk_count());
    if longest > CHUNKS {
        return Ok(None);
    }
    let Some(base) = base_of(state, older).await? else {
        return Ok(None);
    };
    let entries = entries_of(state, file).await?;
    let bases = base.align(&mut 0, &entries);
    let mut fresh = Vec::new();
    let mut bytes = 0;
    for ((index, entry), base_chunks) in (0..).zip(&entries).zip(bases) {
        if base.place_of(&entry.hash).is_some() {
            continue;
        }
        bytes += u64::from(entry.len);
        if bytes > CHANGED_BYTES {
            return Ok(None);
        }
        fresh.push(Fresh {
            index,
            base: base_chunks,
        });
    }
    let mut parts = Vec::new();
    if matches!(file.manifest, Manifest::Tree { .. }) {
        parts.push(FetchPart::PagesFrom { base: older_seq });
    }
    for run in runs(fresh, |chunk| (chunk.index, &chunk.base)) {
        let count = run.len() as u64;
        let first = run.into_iter().next();
        parts.extend(first.map(|chunk| FetchPart::run(chunk.index, count, chunk.base)));
    }
    Ok(Some(parts))
}

/// The chunks and pages of a content; `None` where its pages are not what they should be.
async fn base_of(state: &State, file: &FileContent) -> Result<Option<Base>, ServiceError> {
    let mut reader = BaseReader::new(&file.manifest);
    while let Some(open) = reader {
        if open.wanted().is_empty() {
            return Ok(Some(open.finish()));
        }
        let mut found = Vec::with_capacity(open.wanted().len());
        for hash in open.wanted() {
            found.push(Some(load_page(state, hash).await?.to_vec()));
        }
        reader = open.give(found);
    }
    Ok(None)
}

async fn entries_of(state: &State, file: &FileContent) -> Result<Vec<ChunkEntry>, ServiceError> {
    let none = ChunkHash::new([0; 32]);
    let mut walk = ChunkWalk::from_chunk(file, 0).map_err(|error| damaged(none, &error))?;
    let mut entries = Vec::new();
    while let Some(entry) = walk.next(state).await? {
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use cairn_core::ids::{ChainHash, Incarnation, NamespaceId};

    use super::*;

    #[test]
    fn streams_share_a_step_and_the_oldest_give_way() {
        let steps = Steps::default();
        let at = |seq| Cursor {
            namespace: NamespaceId::new(1).unwrap(),
            incarnation: Incarnation::new([0; 16]),
            seq: Seq::new(seq).unwrap(),
            chain: ChainHash::new([0; 32]),
        };
        let other_chain = Cursor {
            chain: ChainHash::new([1; 32]),
            ..at(1)
        };
        let first = steps.get(&at(1), at(2).seq);
        assert!(Arc::ptr_eq(&first, &steps.get(&at(1), at(2).seq)));
        assert!(!Arc::ptr_eq(&first, &steps.get(&other_chain, at(2).seq)));
        assert!(!Arc::ptr_eq(&first, &steps.get(&at(1), at(3).seq)));
        for seq in 2..200 {
            steps.get(&at(seq), at(seq + 1).seq);
        }
        assert_eq!(steps.kept.lock().unwrap().len(), KEPT);
        assert!(!Arc::ptr_eq(&first, &steps.get(&at(1), at(2).seq)));
    }
}
