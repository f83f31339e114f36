//! Many operations as one change: all of them take effect, at one moment, or none does.

use std::collections::BTreeMap;

use cairn_core::change::GroupOutcome;
use cairn_core::ids::ChunkHash;
use cairn_core::limits;
use cairn_core::node::{Attributes, Content, Node, Place};
use cairn_core::rev::{Rev, Seq};

use super::find::{Destination, Tree as _};
use super::overlay::Overlay;
use super::write::{self, obstacle};
use super::{
    ATTEMPTS, FileError, FileResult, Files, Ingested, Located, Obstacle, Put, Relocation, Spot, Target,
    refused,
};
use crate::error::ServiceError;
use crate::service::browse;

/// One operation. Each sees what those before it have done.
pub(crate) enum Operation {
    /// Makes a folder.
    MakeFolder(Target),
    /// Gives a path a content.
    Put {
        /// The path.
        target: Target,
        /// The content.
        ingested: Ingested,
        /// How; another name is never taken.
        how: Put,
    },
    /// Gives something another folder or name.
    Move(Guarded),
    /// Makes a copy, with all that is below a folder.
    Copy(Guarded),
    /// Moves something to the trash.
    Delete {
        /// What.
        target: Target,
        /// Only a file in this state.
        rev: Option<Rev>,
    },
}

/// From where to where, if it is as the caller has seen it.
pub(crate) struct Guarded {
    /// From where to where; another name is never taken.
    pub(crate) wanted: Relocation,
    /// Only a file in this state.
    pub(crate) rev: Option<Rev>,
}

/// What became of one operation.
pub(crate) enum Done {
    /// This stands there after the whole change.
    Here(Located),
    /// This was taken away; as it was before.
    Deleted(Located),
    /// A later operation has taken it away.
    Gone(Located),
}

/// Why nothing was done.
#[derive(Debug)]
pub(crate) enum NotDone {
    /// This operation cannot be done.
    Failed {
        /// Which.
        index: usize,
        /// Where in it.
        side: Side,
        /// Why.
        error: FileError,
    },
    /// It is more than one change can hold.
    TooMuch,
    /// Others changed the same places again and again.
    Contended,
    /// The service failed.
    Service(ServiceError),
}

/// Which part of an operation cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// What is to be moved, copied or deleted: it is not there.
    Source,
    /// It is there, in another state.
    State,
    /// Where something is to be put.
    Target,
}

impl From<ServiceError> for NotDone {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

/// Why an operation cannot be done.
pub(super) type Failed = (Side, FileError);

impl Files<'_> {
    /// Does all of it or nothing.
    pub(crate) async fn apply(&self, operations: &[Operation]) -> Result<Vec<Done>, NotDone> {
        let lens = lens(operations.iter())?;
        for _ in 0..ATTEMPTS {
            let at = browse::head(self.state, self.namespace).await?.seq;
            let mut overlay = Overlay::new(self, at);
            let mut traces = Vec::with_capacity(operations.len());
            for (index, operation) in operations.iter().enumerate() {
                let trace = self.one(&mut overlay, index, operation).await;
                traces.push(trace.map_err(|(side, error)| NotDone::of(index, side, error))?);
                if overlay.len() > limits::COMMIT_OPS {
                    return Err(NotDone::TooMuch);
                }
            }
            let derived = overlay.operations();
            let ops = derived.iter().map(|derived| derived.op.clone()).collect();
            if derived.is_empty() {
                return self.done(&overlay, traces).await;
            }
            match self.commit_group(ops, &lens).await? {
                GroupOutcome::Applied { seqs } => {
                    overlay.applied(&derived, &seqs);
                    return self.done(&overlay, traces).await;
                }
                GroupOutcome::Refused { op_index, refusal } => {
                    if let Err(error) = refused(refusal) {
                        let index = derived.get(op_index).map_or(0, |derived| derived.index);
                        return Err(NotDone::of(index, Side::Target, error));
                    }
                }
            }
        }
        Err(NotDone::Contended)
    }

    /// Sees one operation; it leaves nothing behind when it fails, but when there are too many files.
    pub(super) async fn one(
        &self,
        overlay: &mut Overlay<'_>,
        index: usize,
        operation: &Operation,
    ) -> Result<Trace, Failed> {
        match operation {
            Operation::MakeFolder(target) => {
                let at = overlay.destination(target).await.map_err(to)?;
                if let Some(existing) = &at.existing {
                    return Err(to(FileError::Conflict(obstacle(existing))));
                }
                let parent = overlay.make_missing(&at, index);
                let name = at.name.clone();
                let place = Place { parent, name };
                let node = overlay.create(place, Content::Directory, Attributes::default(), index);
                Ok(Trace::left(at.hold(node)))
            }
            Operation::Put {
                target,
                ingested,
                how,
            } => self
                .put_in(overlay, index, target, ingested, how)
                .await
                .map_err(to),
            Operation::Move(guarded) => move_in(overlay, index, guarded).await,
            Operation::Copy(guarded) => copy_in(overlay, index, guarded).await,
            Operation::Delete { target, rev } => {
                let spot = overlay.find(target).await.map_err(from)?;
                let Spot::Node(located) = spot else {
                    return Err((Side::State, FileError::Conflict(Obstacle::Folder)));
                };
                check_state(&located.node, rev.as_ref())?;
                overlay.delete(&located.node, index);
                Ok(Trace {
                    located,
                    is_deletion: true,
                })
            }
        }
    }

    async fn put_in(
        &self,
        overlay: &mut Overlay<'_>,
        index: usize,
        target: &Target,
        ingested: &Ingested,
        how: &Put,
    ) -> FileResult<Trace> {
        let at = overlay.destination(target).await?;
        let content = Content::File(ingested.content.clone());
        let node = match self.step(&at, &ingested.content, how).await? {
            write::Step::Keep(node) => {
                overlay.keep(&node);
                *node
            }
            write::Step::Create(name) => {
                let parent = overlay.make_missing(&at, index);
                let place = Place { parent, name };
                overlay.create(place, content, self.attributes(how, false), index)
            }
            write::Step::Edit(node) => {
                let attributes = self.attributes(how, node.attributes.executable);
                overlay.edit(&node, content, attributes, index)
            }
        };
        Ok(Trace::left(at.hold(node)))
    }

    /// What each operation has led to.
    async fn done(&self, overlay: &Overlay<'_>, traces: Vec<Trace>) -> Result<Vec<Done>, NotDone> {
        let mut all = Vec::with_capacity(traces.len());
        for trace in traces {
            let is_known = trace.located.node.content_seq != Seq::ZERO;
            if trace.is_deletion && is_known {
                all.push(Done::Deleted(trace.located));
                continue;
            }
            all.push(match overlay.located(trace.located.node.id).await {
                Ok(Spot::Node(located)) => Done::Here(located),
                // The change is done: what others do to it right after does not make it undone.
                Ok(Spot::Root(_)) | Err(FileError::NotFound) => Done::Gone(trace.located),
                Err(FileError::Service(error)) => return Err(error.into()),
                Err(error) => return Err(NotDone::of(0, Side::Target, error)),
            });
        }
        Ok(all)
    }
}

/// What an operation was about.
pub(super) struct Trace {
    pub(super) located: Located,
    is_deletion: bool,
}

impl Trace {
    const fn left(located: Located) -> Self {
        Self {
            located,
            is_deletion: false,
        }
    }
}

/// What is to be moved or copied, as its guard has it, and where to: not into itself.
async fn ends(overlay: &Overlay<'_>, guarded: &Guarded) -> Result<(Located, Destination), Failed> {
    let source = overlay
        .find(&guarded.wanted.from)
        .await
        .and_then(Spot::node)
        .map_err(from)?;
    check_state(&source.node, guarded.rev.as_ref())?;
    let at = overlay.destination(&guarded.wanted.to).await.map_err(to)?;
    if at.ids.contains(&source.node.id) {
        return Err(to(FileError::IntoItself));
    }
    Ok((source, at))
}

async fn move_in(overlay: &mut Overlay<'_>, index: usize, guarded: &Guarded) -> Result<Trace, Failed> {
    let (source, at) = ends(overlay, guarded).await?;
    if let Some(existing) = &at.existing {
        // Another spelling of its own name is a rename; the same one changes nothing.
        let is_itself = existing.id == source.node.id;
        if !is_itself || source.node.place.name == at.name {
            return Err(to(FileError::Conflict(obstacle(existing))));
        }
    }
    let parent = overlay.make_missing(&at, index);
    let name = at.name.clone();
    let node = overlay.relocate(&source.node, Place { parent, name }, index);
    Ok(Trace::left(at.hold(node)))
}

async fn copy_in(overlay: &mut Overlay<'_>, index: usize, guarded: &Guarded) -> Result<Trace, Failed> {
    let (source, at) = ends(overlay, guarded).await?;
    if let Some(existing) = &at.existing {
        return Err(to(FileError::Conflict(obstacle(existing))));
    }
    let parent = overlay.make_missing(&at, index);
    let name = at.name.clone();
    let copy = overlay.copy(&source.node, Place { parent, name }, index).await;
    Ok(Trace::left(at.hold(copy.map_err(to)?)))
}

/// Whether a file is in the state that the caller has seen.
fn check_state(node: &Node, rev: Option<&Rev>) -> Result<(), Failed> {
    let Some(rev) = rev else { return Ok(()) };
    match node.content {
        Content::File(_) if node.content_seq == rev.content_seq => Ok(()),
        Content::Directory => Err(from(FileError::NotFile)),
        _ => Err((Side::State, FileError::Conflict(Obstacle::File))),
    }
}

const fn from(error: FileError) -> Failed {
    (Side::Source, error)
}

const fn to(error: FileError) -> Failed {
    (Side::Target, error)
}

impl NotDone {
    fn of(index: usize, side: Side, error: FileError) -> Self {
        match error {
            FileError::Service(error) => Self::Service(error),
            FileError::Contended => Self::Contended,
            error => Self::Failed { index, side, error },
        }
    }
}

/// The chunks that have come for the contents.
pub(super) fn lens<'o>(
    operations: impl Iterator<Item = &'o Operation>,
) -> Result<BTreeMap<ChunkHash, u32>, NotDone> {
    let mut lens = BTreeMap::new();
    for operation in operations {
        if let Operation::Put { ingested, .. } = operation {
            lens.extend(&ingested.lens);
        }
        if lens.len() > 2 * limits::FILE_CHUNKS {
            return Err(NotDone::TooMuch);
        }
    }
    Ok(lens)
}
