//! Cursors: where a client is in a listing or in the journal after it.
//!
//! A cursor holds all that is needed to go on, so that any node of a cluster can answer, and is signed: the long poll takes
//! it in place of a token.

use cairn_core::ids::{ChainHash, DeviceId, Incarnation, NamespaceId, NodeId};
use cairn_core::name::NodeName;
use cairn_core::rev::{Cursor, Seq};
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::sealed::Seal;
use crate::service::files::{Scope, Walk};

const VERSION: u8 = 1;
/// The longest has a folder and one name of 255 letters, and room to spare.
const SEAL: Seal = Seal {
    context: "cairn 2026 listing cursor v1",
    most_chars: 4_096,
};

/// Where a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListCursor {
    pub(crate) namespace: NamespaceId,
    /// The app or device that it was made for.
    pub(crate) device: DeviceId,
    pub(crate) scope: Scope,
    /// Whether the listing has what has gone, too.
    pub(crate) deleted: bool,
    /// Entries of a page.
    pub(crate) limit: u32,
    pub(crate) stage: Stage,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// More of the listing, as of a position.
    Listing { at: Position, walk: Walk },
    /// What happened after a position.
    Following { after: Position },
    /// More of what came along with folders between two positions.
    Arriving {
        after: Position,
        at: Position,
        index: u32,
        walk: Walk,
    },
}

/// A position of the journal, with the hash that it has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) seq: Seq,
    pub(crate) chain: ChainHash,
}

impl Position {
    pub(crate) const fn of(cursor: &Cursor) -> Self {
        Self {
            seq: cursor.seq,
            chain: cursor.chain,
        }
    }

    /// As the journal of a namespace's present life takes it.
    pub(crate) const fn cursor(self, head: &Cursor) -> Cursor {
        Cursor {
            namespace: head.namespace,
            incarnation: head.incarnation,
            seq: self.seq,
            chain: self.chain,
        }
    }
}

#[derive(Encode, Decode)]
struct Wire {
    #[n(0)]
    version: u8,
    #[n(1)]
    namespace: i64,
    #[n(2)]
    folder: i64,
    #[n(3)]
    recursive: bool,
    #[n(4)]
    limit: u32,
    #[n(5)]
    after: Option<WirePosition>,
    #[n(6)]
    at: Option<WirePosition>,
    #[n(7)]
    walk: Option<WireWalk>,
    #[n(8)]
    index: u32,
    #[n(9)]
    device: i64,
    // What those of earlier versions lack is missing at the end.
    #[n(10)]
    deleted: Option<bool>,
}

#[derive(Encode, Decode)]
struct WirePosition(#[n(0)] i64, #[n(1)] ByteArray<32>);

#[derive(Encode, Decode)]
struct WireWalk(#[n(0)] i64, #[n(1)] Option<String>, #[n(2)] Option<bool>);

/// The namespace that a text claims to be a cursor of, before anything of it is believed.
pub(crate) fn claimed_namespace(text: &str) -> Option<NamespaceId> {
    let cursor = SEAL.read::<Wire>(text)?;
    NamespaceId::new(cursor.claim().namespace).ok()
}

/// Signs bytes that may be no cursor.
#[cfg(any(fuzzing, test))]
pub(super) fn signed(bytes: &[u8], life: &Incarnation) -> String {
    SEAL.sign(bytes, life)
}

impl ListCursor {
    /// Writes it, signed for a namespace's present life.
    pub(crate) fn seal(&self, incarnation: &Incarnation) -> String {
        let position =
            |position: Position| WirePosition(position.seq.get(), (*position.chain.as_bytes()).into());
        let walk = |walk: &Walk| {
            let after = walk.after.as_ref().map(|name| name.as_str().to_owned());
            WireWalk(walk.folder.get(), after, walk.deleted.then_some(true))
        };
        let mut wire = Wire {
            version: VERSION,
            namespace: self.namespace.get(),
            folder: self.scope.folder.get(),
            recursive: self.scope.recursive,
            limit: self.limit,
            after: None,
            at: None,
            walk: None,
            index: 0,
            device: self.device.get(),
            deleted: self.deleted.then_some(true),
        };
        match &self.stage {
            Stage::Listing { at, walk: next } => {
                wire.at = Some(position(*at));
                wire.walk = Some(walk(next));
            }
            Stage::Following { after } => wire.after = Some(position(*after)),
            Stage::Arriving {
                after,
                at,
                index,
                walk: next,
            } => {
                wire.after = Some(position(*after));
                wire.at = Some(position(*at));
                wire.walk = Some(walk(next));
                wire.index = *index;
            }
        }
        SEAL.write(&wire, incarnation)
    }

    /// Reads one that was signed for a namespace's present life; `None` for anything else.
    pub(crate) fn open(text: &str, incarnation: &Incarnation) -> Option<Self> {
        let wire: Wire = SEAL.prove(SEAL.read(text)?, incarnation)?;
        (wire.version == VERSION).then_some(())?;
        let position = |position: WirePosition| {
            Some(Position {
                seq: Seq::new(position.0)?,
                chain: ChainHash::new(position.1.into()),
            })
        };
        let walk = |walk: WireWalk| {
            Some(Walk {
                folder: NodeId::new(walk.0).ok()?,
                after: match walk.1 {
                    Some(name) => Some(NodeName::new(name).ok()?),
                    None => None,
                },
                deleted: walk.2.unwrap_or(false),
            })
        };
        let stage = match (wire.after, wire.at, wire.walk) {
            (None, Some(at), Some(next)) => Stage::Listing {
                at: position(at)?,
                walk: walk(next)?,
            },
            (Some(after), None, None) => Stage::Following {
                after: position(after)?,
            },
            (Some(after), Some(at), Some(next)) => Stage::Arriving {
                after: position(after)?,
                at: position(at)?,
                index: wire.index,
                walk: walk(next)?,
            },
            _ => return None,
        };
        Some(Self {
            namespace: NamespaceId::new(wire.namespace).ok()?,
            device: DeviceId::new(wire.device).ok()?,
            scope: Scope {
                folder: NodeId::new(wire.folder).ok()?,
                recursive: wire.recursive,
            },
            deleted: wire.deleted.unwrap_or(false),
            limit: wire.limit,
            stage,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(stage: Stage) -> ListCursor {
        ListCursor {
            namespace: NamespaceId::new(42).unwrap(),
            device: DeviceId::new(43).unwrap(),
            scope: Scope {
                folder: NodeId::new(1_000).unwrap(),
                recursive: true,
            },
            deleted: true,
            limit: 7,
            stage,
        }
    }

    fn position(seq: i64) -> Position {
        Position {
            seq: Seq::new(seq).unwrap(),
            chain: ChainHash::new([9; 32]),
        }
    }

    #[test]
    fn a_listing_without_what_has_gone_has_the_cursors_that_it_always_had() {
        let life = Incarnation::new([7; 16]);
        let walk = Walk::of(NodeId::new(2_000).unwrap());
        let at = position(5);
        let cursor = ListCursor {
            deleted: false,
            ..cursor(Stage::Listing { at, walk })
        };
        // Of a version that knew nothing of it.
        let chain = ByteArray::from([9; 32]);
        let place: (i64, Option<String>) = (2_000, None);
        let none: Option<u8> = None;
        let wire = (
            1_u8,
            42_i64,
            1_000_i64,
            true,
            7_u32,
            none,
            (5_i64, chain),
            place,
            0_u32,
            43_i64,
        );
        let bytes = minicbor::to_vec(wire).unwrap();
        assert_eq!(ListCursor::open(&signed(&bytes, &life), &life), Some(cursor));
    }

    #[test]
    fn cursors_are_read_back_and_no_others() {
        let life = Incarnation::new([7; 16]);
        let walk = Walk {
            folder: NodeId::new(2_000).unwrap(),
            after: Some(NodeName::new("é".repeat(255)).unwrap()),
            deleted: true,
        };
        for stage in [
            Stage::Listing {
                at: position(5),
                walk: walk.clone(),
            },
            Stage::Following { after: position(6) },
            Stage::Arriving {
                after: position(5),
                at: position(9),
                index: 3,
                walk,
            },
        ] {
            let cursor = cursor(stage);
            let text = cursor.seal(&life);
            assert_eq!(ListCursor::open(&text, &life), Some(cursor.clone()));
            assert_eq!(claimed_namespace(&text), Some(cursor.namespace));
            assert_eq!(ListCursor::open(&text, &Incarnation::new([8; 16])), None);
            for index in 0..text.len() {
                let mut wrong = text.clone().into_bytes();
                wrong[index] = if wrong[index] == b'A' { b'B' } else { b'A' };
                let wrong = String::from_utf8(wrong).unwrap();
                // The last letter has bits that say nothing.
                if index + 1 < text.len() {
                    assert_eq!(ListCursor::open(&wrong, &life), None, "letter {index}");
                }
            }
        }
        for nonsense in ["", "AAAA", "=", "not a cursor", &"A".repeat(5_000)] {
            assert_eq!(ListCursor::open(nonsense, &life), None);
            assert_eq!(claimed_namespace(nonsense), None);
        }
    }
}
