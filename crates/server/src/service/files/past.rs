//! The tree as it was.

use cairn_core::ids::NodeId;
use cairn_core::name::NodeName;
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;

use super::{FileError, FileResult, Files, Located, Spot, Target};
use crate::service::browse;

/// A moment of a namespace's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// All that was done by then.
    Time(Timestamp),
    /// All that was done up to the change that a position of the journal belongs to.
    Position(Seq),
}

/// Whether there is a tree of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// It is that of this position, the end of a change.
    At(Seq),
    /// The history does not reach as far back.
    TooOld,
    /// The journal has not come there.
    NotYet,
}

impl Files<'_> {
    /// How far the history reaches back for a caller whose right to look begins at `since`.
    pub(crate) async fn earliest(&self, since: Option<Timestamp>) -> FileResult<Seq> {
        let head = browse::head(self.state, self.namespace).await?;
        match since {
            None => Ok(head.journal_floor),
            Some(since) => self.position_at(since, head.journal_floor, head.seq).await,
        }
    }

    /// From a moment to a position, which must not lie before `floor`.
    pub(crate) async fn when(&self, moment: Moment, floor: Seq) -> FileResult<When> {
        let head = browse::head(self.state, self.namespace).await?;
        let at = match moment {
            Moment::Time(time) => self.position_at(time, head.journal_floor, head.seq).await?,
            Moment::Position(seq) if seq > head.seq => return Ok(When::NotYet),
            Moment::Position(seq) => self.end_of_change(seq).await?,
        };
        Ok(match at < floor {
            true => When::TooOld,
            false => When::At(at),
        })
    }

    /// The last position that was written by a time: the times of the journal never run back, and all of one change have
    /// the same.
    async fn position_at(&self, time: Timestamp, floor: Seq, head: Seq) -> FileResult<Seq> {
        // At `low` it was written by then, or nothing was; behind `high` it was not.
        let (mut low, mut high) = (floor.get(), head.get());
        while low < high {
            let middle = low + (high - low + 1) / 2;
            match self.written_at(Seq::new(middle)).await? {
                Some(at) if at <= time => low = middle,
                _ => high = middle - 1,
            }
        }
        Ok(Seq::new(low).unwrap_or(floor))
    }

    /// When a position was written; `None` where nothing is known of it.
    pub(crate) async fn written_at(&self, seq: Option<Seq>) -> FileResult<Option<Timestamp>> {
        let Some(seq) = seq else { return Ok(None) };
        let written = self.state.metadata.written(self.namespace, &[seq]).await?;
        Ok(written.into_iter().next().flatten().map(|written| written.at))
    }

    /// The last position of the change that a position belongs to.
    async fn end_of_change(&self, seq: Seq) -> FileResult<Seq> {
        let metadata = &self.state.metadata;
        let entries = metadata
            .entries_before(self.namespace, Some(seq.next()), 1)
            .await?;
        let entry = entries.first().filter(|entry| entry.seq == seq);
        Ok(entry.map_or(seq, |entry| entry.group_last))
    }

    /// Finds what a path or an id named at a position.
    pub(crate) async fn find_at(&self, target: &Target, at: Seq) -> FileResult<Spot> {
        let (start, names) = match target {
            Target::Path(names) => (self.located_at(self.home, at).await?, names),
            Target::Node { node, below } => (self.located_at(*node, at).await?, below),
            // It is a state of its own.
            Target::Revision(_) => return Err(FileError::NotFound),
        };
        self.walk_at(start, names, at).await
    }

    async fn located_at(&self, id: NodeId, at: Seq) -> FileResult<Spot> {
        if id == NodeId::ROOT && self.home == NodeId::ROOT {
            return Ok(Spot::Root(id));
        }
        let node = self.node_at(id, at).await?.ok_or(FileError::NotFound)?;
        if id == self.home {
            return Ok(Spot::Root(id));
        }
        let folders = self.folders_above(&node, Some(at)).await?;
        match folders {
            // It stood where the caller may not look.
            None => Err(FileError::NotFound),
            Some(_) => Ok(Spot::Node(Located { node, folders })),
        }
    }

    async fn walk_at(&self, start: Spot, names: &[NodeName], at: Seq) -> FileResult<Spot> {
        let metadata = &self.state.metadata;
        let mut spot = start;
        for name in names {
            let parent = spot.folder().map_err(|_| FileError::NotFound)?;
            let child = metadata.child_at(self.namespace, parent, &name.key(), at).await?;
            let node = child.ok_or(FileError::NotFound)?;
            let folders = Some(spot.names());
            spot = Spot::Node(Located { node, folders });
        }
        Ok(spot)
    }
}
