//! Values of every type that travels.

use cairn_core::change::{Change, GroupOutcome, JournalEntry, Op, Refusal};
use cairn_core::ids::{
    ChainHash, ChunkHash, ContentHash, DeviceId, FileId, Incarnation, NamespaceId, NodeId, OpId,
};
use cairn_core::manifest::{ChunkEntry, Manifest};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, FileContent, LinkTarget, Node, NodeKind, Place};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::{Mtime, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};

const ID: std::ops::RangeInclusive<i64> = 1..=i64::MAX;

pub(crate) fn node_id() -> impl Strategy<Value = NodeId> {
    ID.prop_map(|id| NodeId::new(id).unwrap())
}

pub(crate) fn namespace() -> impl Strategy<Value = NamespaceId> {
    ID.prop_map(|id| NamespaceId::new(id).unwrap())
}

pub(crate) fn op_id() -> impl Strategy<Value = OpId> {
    any::<[u8; 16]>().prop_map(OpId::new)
}

pub(crate) fn hash() -> impl Strategy<Value = ChunkHash> {
    any::<[u8; 32]>().prop_map(ChunkHash::new)
}

pub(crate) fn seq() -> impl Strategy<Value = Seq> {
    (0..=i64::MAX).prop_map(|seq| Seq::new(seq).unwrap())
}

fn place() -> impl Strategy<Value = Place> {
    let name = "[a-zäß\u{1F600} ._-]{1,40}".prop_filter_map("a legal name", |name| NodeName::new(&name).ok());
    (node_id(), name).prop_map(|(parent, name)| Place { parent, name })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    (any::<i64>(), 0..1_000_000_000u32, any::<bool>()).prop_map(|(seconds, nanos, executable)| Attributes {
        mtime: Mtime::new(seconds, nanos).unwrap(),
        executable,
    })
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let entry = (hash(), 1..=262_144u32).prop_map(|(hash, len)| ChunkEntry { hash, len });
    prop_oneof![
        vec(entry, 0..=20).prop_map(Manifest::Inline),
        (hash(), 257..=1_024u64).prop_map(|(root, chunk_count)| Manifest::Tree {
            root,
            levels: 1,
            chunk_count
        }),
    ]
}

fn content() -> impl Strategy<Value = Content> {
    let file = (any::<u64>(), any::<[u8; 32]>(), manifest(), any::<[u8; 32]>()).prop_map(
        |(size, file_id, manifest, content_hash)| {
            Content::File(FileContent {
                size,
                file_id: FileId::new(file_id),
                manifest,
                content_hash: ContentHash::new(content_hash),
            })
        },
    );
    let link = "[a-z/.]{1,60}".prop_map(|target| Content::Symlink(LinkTarget::new(target).unwrap()));
    prop_oneof![Just(Content::Directory), file, link]
}

fn kind() -> impl Strategy<Value = NodeKind> {
    prop_oneof![
        Just(NodeKind::Directory),
        Just(NodeKind::File),
        Just(NodeKind::Symlink)
    ]
}

pub(crate) fn node() -> impl Strategy<Value = Node> {
    (node_id(), place(), content(), attributes(), [seq(), seq(), seq()]).prop_map(
        |(id, place, content, attributes, [place_seq, content_seq, attributes_seq])| Node {
            id,
            place,
            content,
            attributes,
            place_seq,
            content_seq,
            attributes_seq,
        },
    )
}

pub(crate) fn cursor() -> impl Strategy<Value = Cursor> {
    (namespace(), any::<[u8; 16]>(), seq(), any::<[u8; 32]>()).prop_map(
        |(namespace, incarnation, seq, chain)| Cursor {
            namespace,
            incarnation: Incarnation::new(incarnation),
            seq,
            chain: ChainHash::new(chain),
        },
    )
}

pub(crate) fn op() -> BoxedStrategy<Op> {
    prop_oneof![
        (node_id(), place(), content(), attributes()).prop_map(|(node, place, content, attributes)| {
            Op::Create {
                node,
                place,
                content,
                attributes,
            }
        }),
        (node_id(), place(), seq()).prop_map(|(node, place, base_place)| Op::Move {
            node,
            place,
            base_place
        }),
        (node_id(), content(), attributes(), seq()).prop_map(|(node, content, attributes, base_content)| {
            Op::Edit {
                node,
                content,
                attributes,
                base_content,
            }
        }),
        (node_id(), attributes()).prop_map(|(node, attributes)| Op::SetAttributes { node, attributes }),
        (node_id(), seq(), seq(), option::of(seq())).prop_map(|(node, base_place, base_content, seen)| {
            Op::Delete {
                node,
                base_place,
                base_content,
                seen,
            }
        }),
    ]
    .boxed()
}

fn refusal() -> BoxedStrategy<Refusal> {
    prop_oneof![
        node_id().prop_map(|node| Refusal::NodeNotFound { node }),
        node_id().prop_map(|parent| Refusal::ParentNotFound { parent }),
        node_id().prop_map(|parent| Refusal::ParentNotDirectory { parent }),
        node_id().prop_map(|holder| Refusal::NameTaken { holder }),
        (node_id(), seq()).prop_map(|(node, current)| Refusal::StalePlace { node, current }),
        (node_id(), seq()).prop_map(|(node, current)| Refusal::StaleContent { node, current }),
        node_id().prop_map(|node| Refusal::NewerBelow { node }),
        node_id().prop_map(|node| Refusal::Cycle { node }),
        Just(Refusal::TooDeep),
        node_id().prop_map(|node| Refusal::IdTaken { node }),
        (node_id(), kind()).prop_map(|(node, kind)| Refusal::WrongKind { node, kind }),
        vec(hash(), 0..9).prop_map(|missing| Refusal::MissingChunks { missing }),
        any::<(u64, u64)>().prop_map(|(needed, available)| Refusal::QuotaExceeded { needed, available }),
    ]
    .boxed()
}

pub(crate) fn outcome() -> impl Strategy<Value = GroupOutcome> {
    prop_oneof![
        vec(seq(), 0..5).prop_map(|seqs| GroupOutcome::Applied { seqs }),
        (0..10_000usize, refusal())
            .prop_map(|(op_index, refusal)| GroupOutcome::Refused { op_index, refusal }),
    ]
}

pub(crate) fn entry() -> impl Strategy<Value = JournalEntry> {
    let change = prop_oneof![
        Just(Change::Created),
        Just(Change::Moved),
        Just(Change::Edited),
        Just(Change::AttributesSet),
        Just(Change::Deleted),
        Just(Change::Restored),
    ];
    let what = (seq(), seq(), node_id(), change, kind());
    let states = (
        option::of(place()),
        option::of(place()),
        option::of(content()),
        attributes(),
    );
    let tail = (any::<i64>(), ID, any::<i64>(), any::<[u8; 32]>());
    (what, states, tail).prop_map(|(what, states, (bytes_delta, device, at, chain))| JournalEntry {
        seq: what.0,
        group_last: what.1,
        node: what.2,
        change: what.3,
        place_before: states.0,
        place_after: states.1,
        kind: what.4,
        content: states.2,
        attributes: states.3,
        bytes_delta,
        device: DeviceId::new(device).unwrap(),
        at: Timestamp::from_millis(at),
        chain: ChainHash::new(chain),
    })
}
