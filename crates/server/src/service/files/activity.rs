//! What was changed, newest first.

use cairn_core::change::JournalEntry;
use cairn_core::name::NodeName;
use cairn_core::node::Place;
use cairn_core::rev::Seq;

use super::list::Ways;
use super::{FileResult, Files};

/// Entries that one call looks at; a change is never cut.
const LOOKED_AT: usize = 2_000;
/// Entries that are read at once.
const PAGE: usize = 200;

/// One entry of the journal, with where it happened.
pub(crate) struct Deed {
    /// The entry.
    pub(crate) entry: JournalEntry,
    /// Where it stood before, from where paths begin; `None` when it did not stand there.
    pub(crate) from: Option<Vec<NodeName>>,
    /// Where it stood after.
    pub(crate) to: Option<Vec<NodeName>>,
}

impl Files<'_> {
    /// What was done before a position (`None`: until now) and after `floor`, newest first: about `limit` entries, fewer where
    /// others are not the caller's to see, and where it goes on.
    pub(crate) async fn activity(
        &self,
        before: Option<Seq>,
        floor: Seq,
        limit: usize,
    ) -> FileResult<(Vec<Deed>, Option<Seq>)> {
        let (mut deeds, mut before, mut looked_at) = (Vec::new(), before, 0);
        loop {
            let metadata = &self.state.metadata;
            let wanted = (limit - deeds.len()).min(PAGE);
            let entries = metadata.entries_before(self.namespace, before, wanted).await?;
            let Some(last) = entries.last() else {
                return Ok((deeds, None));
            };
            looked_at += entries.len();
            let next = last.seq;
            for change in changes(entries) {
                if change.first().is_none_or(|entry| entry.group_last <= floor) {
                    return Ok((deeds, None));
                }
                self.add_deeds(change, &mut deeds).await?;
            }
            before = Some(next);
            if next.get() <= floor.get() + 1 {
                return Ok((deeds, None));
            }
            if deeds.len() >= limit || looked_at >= LOOKED_AT {
                return Ok((deeds, before));
            }
        }
    }

    /// Adds the entries of one change that happened where the caller may look.
    async fn add_deeds(&self, change: Vec<JournalEntry>, deeds: &mut Vec<Deed>) -> FileResult<()> {
        let (Some(newest), Some(oldest)) = (change.first(), change.last()) else {
            return Ok(());
        };
        // Only between changes are there trees.
        let mut old = Ways::new(self.home, Seq::new(oldest.seq.get() - 1).unwrap_or(Seq::ZERO));
        let mut new = Ways::new(self.home, newest.group_last);
        for entry in change {
            let from = self.stood(&mut old, entry.place_before.as_ref()).await?;
            let to = self.stood(&mut new, entry.place_after.as_ref()).await?;
            if from.is_some() || to.is_some() {
                deeds.push(Deed { entry, from, to });
            }
        }
        Ok(())
    }

    async fn stood(&self, ways: &mut Ways, place: Option<&Place>) -> FileResult<Option<Vec<NodeName>>> {
        let Some(place) = place else { return Ok(None) };
        let mut names = ways.find(self, place.parent).await?;
        if let Some(names) = &mut names {
            names.push(place.name.clone());
        }
        Ok(names)
    }
}

/// Entries by the change that they belong to.
fn changes(entries: Vec<JournalEntry>) -> Vec<Vec<JournalEntry>> {
    let mut changes: Vec<Vec<JournalEntry>> = Vec::new();
    for entry in entries {
        match changes.last_mut() {
            Some(change)
                if change
                    .first()
                    .is_some_and(|first| first.group_last == entry.group_last) =>
            {
                change.push(entry);
            }
            _ => changes.push(vec![entry]),
        }
    }
    changes
}
