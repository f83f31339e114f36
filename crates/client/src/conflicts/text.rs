//! Both versions as text: what differs, and what they are together.

use std::time::Duration;

use cairn_core::node::{Attributes, Content, Node, Place};
use cairn_core::rev::Seq;
use cairn_core::tree::Substance;

use super::list::Found;
use super::{ConflictError, Inbox};
use crate::fs::{DiskPath, Filesystem, Fingerprint, FsResult};

/// Longest file in bytes that counts as text.
pub const TEXT_BYTES: u64 = 8 * 1024 * 1024;
/// Most lines of a text from the first to the last that changed, with which it is merged: what it takes grows with their square, to
/// two seconds with these.
const CHANGED_LINES: usize = 10_000;
/// How long the shortest difference of two texts is looked for. Long texts with little in common would take hours.
const DIFF_TIME: Duration = Duration::from_secs(1);
/// Lines of context around a difference.
const CONTEXT: usize = 3;

/// A text and the state of the file that it was read from.
pub(super) struct Text {
    pub(super) text: String,
    pub(super) fingerprint: Fingerprint,
}

/// Two versions made one.
pub(super) enum Merged {
    /// They changed different lines.
    Clean(Ready),
    /// They changed the same lines; the text has markers.
    Overlapping(Ready),
    /// Why it cannot be done.
    Impossible(&'static str),
}

/// A merged text with the states of the files that it was made of.
pub(super) struct Ready {
    pub(super) text: String,
    pub(super) original: Fingerprint,
    pub(super) copy: Fingerprint,
}

/// What a unified diff says of two texts: the shortest one that is found in a second.
pub fn unified(theirs: (&str, &str), mine: (&str, &str)) -> String {
    similar::TextDiff::configure()
        .timeout(DIFF_TIME)
        .diff_lines(theirs.1, mine.1)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(theirs.0, mine.0)
        .to_string()
}

/// The text of bytes: UTF-8 without a zero byte.
pub(super) fn as_text(bytes: Vec<u8>) -> Option<String> {
    if bytes.len() as u64 > TEXT_BYTES || bytes.contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// Merges two texts that came from one.
pub(super) fn merge(base: &str, theirs: &str, mine: &str) -> Result<String, String> {
    diffy::MergeOptions::new()
        .set_conflict_style(diffy::ConflictStyle::Merge)
        .merge(base, theirs, mine)
}

/// Whether two texts are so much like the one that they came from that they are merged.
pub(super) fn is_mergeable(base: &str, theirs: &str, mine: &str) -> bool {
    [theirs, mine]
        .iter()
        .all(|text| changed_lines(base.as_bytes(), text.as_bytes()) <= CHANGED_LINES)
}

/// Lines from the first to the last in which two texts differ, in the one where these are more.
fn changed_lines(one: &[u8], other: &[u8]) -> usize {
    let is_end = |byte: &u8| *byte == b'\n';
    let head = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count();
    let head = one[..head].iter().rposition(is_end).map_or(0, |end| end + 1);
    let (one, other) = (&one[head..], &other[head..]);
    let backwards = one.iter().rev().zip(other.iter().rev());
    let tail = backwards.take_while(|(one, other)| one == other).count();
    let begins_line = |text: &[u8]| text[..text.len() - tail].last().is_none_or(is_end);
    let tail = if begins_line(one) && begins_line(other) {
        tail
    } else {
        // The line in which they begin to be the same is a changed one.
        let same = one[one.len() - tail..].iter().position(is_end);
        same.map_or(0, |end| tail - end - 1)
    };
    let lines = |text: &[u8]| text[..text.len() - tail].split_inclusive(is_end).count();
    lines(one).max(lines(other))
}

/// Reads a text; `None` when it is none, or somebody writes to it.
fn read(fs: &dyn Filesystem, path: &DiskPath) -> FsResult<Option<Text>> {
    let mut file = fs.open(path)?;
    let before = file.metadata()?;
    if before.fingerprint.size > TEXT_BYTES {
        return Ok(None);
    }
    // One byte more than there is tells growth.
    let mut bytes = vec![0; before.fingerprint.size as usize + 1];
    let len = file.read_at(0, &mut bytes)?;
    bytes.truncate(len);
    let after = file.metadata()?;
    if before != after || len as u64 != before.fingerprint.size {
        return Ok(None);
    }
    Ok(as_text(bytes).map(|text| Text {
        text,
        fingerprint: after.fingerprint,
    }))
}

impl Inbox<'_> {
    /// Makes both versions one in memory.
    pub(super) async fn merge(&self, found: &Found) -> Result<Merged, ConflictError> {
        let Some(base) = found.row.and_then(|row| row.base) else {
            return Ok(Merged::Impossible("nobody knows what both versions came from"));
        };
        let is_short =
            |substance: &Substance| matches!(substance, Substance::File { size, .. } if *size <= TEXT_BYTES);
        if base.size > TEXT_BYTES
            || !is_short(&found.original.entry.substance)
            || !is_short(&found.copy.entry.substance)
        {
            return Ok(Merged::Impossible("only files of at most 8 MiB are merged"));
        }
        const NO_TEXT: &str = "it is not text in UTF-8";
        let (at, beside) = (found.original_path.clone(), found.copy_path.clone());
        let both = self
            .on_disk(move |fs| FsResult::Ok((read(fs, &at)?, read(fs, &beside)?)))
            .await?;
        let (Some(theirs), Some(mine)) = both else {
            return Ok(Merged::Impossible(NO_TEXT));
        };
        let Some(base) = self.base(found, base.file_id, base.content_seq).await? else {
            return Ok(Merged::Impossible(
                "the version that both came from is not known any more",
            ));
        };
        let Some(base) = as_text(base) else {
            return Ok(Merged::Impossible(NO_TEXT));
        };
        let (original, copy) = (theirs.fingerprint, mine.fingerprint);
        let merged = self
            .runtime
            .blocking(move || {
                is_mergeable(&base, &theirs.text, &mine.text).then(|| merge(&base, &theirs.text, &mine.text))
            })
            .await;
        let ready = |text| Ready { text, original, copy };
        Ok(match merged {
            None => {
                Merged::Impossible("more than 10,000 lines lie between the first and the last that changed")
            }
            Some(Ok(text)) => Merged::Clean(ready(text)),
            Some(Err(text)) => Merged::Overlapping(ready(text)),
        })
    }

    /// The version that both came from, out of the server's history.
    async fn base(
        &self,
        found: &Found,
        file_id: cairn_core::ids::FileId,
        content_seq: Seq,
    ) -> Result<Option<Vec<u8>>, ConflictError> {
        let known = self.state.contents(&[file_id]).await?.pop().flatten();
        let Some(content) = known.filter(|content| content.size <= TEXT_BYTES) else {
            return Ok(None);
        };
        let Some(row) = found.row else { return Ok(None) };
        let node = Node {
            id: row.original,
            place: Place {
                parent: found.original.entry.place.parent,
                name: found.original.entry.place.name.clone(),
            },
            content: Content::File(content),
            attributes: Attributes::default(),
            place_seq: Seq::ZERO,
            content_seq,
            attributes_seq: Seq::ZERO,
        };
        match self.files.fetch_content(&node, Vec::new()).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(crate::files::FilesError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
