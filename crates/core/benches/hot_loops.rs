//! The loops of the core that run for each byte, entry or node.
//!
//! `cargo bench -p cairn-core --bench hot_loops` says how long they take on this machine. As `hot_loops LOOP ROUNDS` the
//! program does one of them so often and nothing else: `cargo xtask instructions` counts what a round costs.

use std::hint::black_box;

use cairn_core::chunker::cut;
use cairn_core::delta::{self, Signature};
use cairn_core::ids::{FileId, NodeId};
use cairn_core::manifest::{ChunkEntry, Manifest, ManifestBuilder};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Place};
use cairn_core::planner::{Context, plan};
use cairn_core::rev::Seq;
use cairn_core::time::{Date, Timestamp};
use cairn_core::tree::{Entry, Neighbourhood, Substance, Tree};
use criterion::Criterion;

/// A loop: what it works on is made once, a round of it is what is measured.
type Loop = (&'static str, fn() -> Box<dyn FnMut()>);

const LOOPS: [Loop; 8] = [
    ("chunker_1_mib", chunker),
    ("signature_64_kib", signature),
    ("delta_make_64_kib", delta_make),
    ("delta_apply_64_kib", delta_apply),
    ("manifest_decode_256", manifest_decode),
    ("name_key_ascii", name_key_ascii),
    ("name_key_accents", name_key_accents),
    ("plan_1000_nodes", plan_1000),
];

fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&[seed])
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn chunker() -> Box<dyn FnMut()> {
    let data = noise(1, 1 << 20);
    Box::new(move || {
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            rest = &rest[black_box(cut(rest))..];
        }
    })
}

fn signature() -> Box<dyn FnMut()> {
    let chunk = noise(1, 64 << 10);
    Box::new(move || drop(black_box(Signature::of(&chunk))))
}

/// A chunk, and the same with a kilobyte inserted in its middle.
fn edited() -> (Vec<u8>, Vec<u8>) {
    let old = noise(1, 64 << 10);
    let new = [&old[..30_000], &noise(2, 1_000), &old[30_000..]].concat();
    (old, new)
}

fn delta_make() -> Box<dyn FnMut()> {
    let (old, new) = edited();
    let signature = Signature::of(&old);
    Box::new(move || drop(black_box(delta::make(&[&signature], &new))))
}

fn delta_apply() -> Box<dyn FnMut()> {
    let (old, new) = edited();
    let delta = delta::make(&[&Signature::of(&old)], &new);
    Box::new(move || {
        let made = delta::apply(&old, &delta, new.len()).expect("the delta was made against this base");
        drop(black_box(made));
    })
}

fn manifest_decode() -> Box<dyn FnMut()> {
    let mut builder = ManifestBuilder::new();
    for index in 0..256u32 {
        let entry = ChunkEntry {
            len: 75_000,
            ..ChunkEntry::of(&index.to_le_bytes())
        };
        builder.push(entry).expect("256 chunks fit a manifest");
    }
    let encoded = builder
        .finish()
        .expect("256 chunks fit a manifest")
        .manifest
        .encode();
    Box::new(move || {
        drop(black_box(
            Manifest::decode(&encoded).expect("it was encoded here"),
        ))
    })
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("the bench's names are legal")
}

fn name_key_ascii() -> Box<dyn FnMut()> {
    let name = name("Quarterly report, final (2).docx");
    Box::new(move || drop(black_box(name.key())))
}

fn name_key_accents() -> Box<dyn FnMut()> {
    let name = name("Rapport trimestriel \u{e9}t\u{e9} e\u{301}te\u{301} \u{1f600}.docx");
    Box::new(move || drop(black_box(name.key())))
}

/// A file in one of twenty folders whose content follows from a number.
fn file(number: i64, content: i64) -> Entry {
    Entry {
        place: Place {
            parent: folder(number % 20),
            name: name(&format!("file {number}.txt")),
        },
        substance: Substance::File {
            file_id: FileId::new(*blake3::hash(&content.to_le_bytes()).as_bytes()),
            size: 1_000,
        },
        attributes: Attributes::default(),
        place_seq: Seq::ZERO,
        content_seq: Seq::ZERO,
    }
}

fn folder(number: i64) -> NodeId {
    node(1_000_000 + number)
}

fn node(number: i64) -> NodeId {
    NodeId::new(1_000 + number).expect("the bench's ids are positive")
}

/// A thousand files in sync: a third was edited here, a third there, a tenth of them on both sides.
fn plan_1000() -> Box<dyn FnMut()> {
    let mut synced = Tree::new();
    for number in 0..20 {
        let mut entry = file(number, 0);
        entry.place.parent = NodeId::ROOT;
        entry.place.name = name(&format!("folder {number}"));
        entry.substance = Substance::Directory;
        synced.insert(folder(number), entry);
    }
    for number in 0..1_000 {
        synced.insert(node(number), file(number, number));
    }
    let (mut remote, mut local) = (synced.clone(), synced.clone());
    for number in 0..1_000 {
        if number % 3 == 0 || number % 10 == 0 {
            local.insert(node(number), file(number, number + 10_000));
        }
        if number % 3 == 1 || number % 10 == 0 {
            remote.insert(node(number), file(number, number + 20_000));
        }
    }
    let hood = Neighbourhood::whole(remote, local, synced);
    Box::new(move || {
        let mut next = 5_000_000;
        let mut fresh = || {
            next += 1;
            node(next)
        };
        let context = Context {
            device_name: "laptop",
            today: Date::of(Timestamp::from_millis(0)),
            names_taken: 0,
            make_way: false,
            fresh: &mut fresh,
        };
        drop(black_box(plan(&hood, context)));
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen = arguments
        .first()
        .and_then(|wanted| LOOPS.iter().find(|(name, _)| name == wanted));
    if let (Some((_, make)), Some(Ok(rounds))) = (chosen, arguments.get(1).map(|word| word.parse::<u32>())) {
        let mut round = make();
        (0..rounds).for_each(|_| round());
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    for (name, make) in LOOPS {
        criterion.bench_function(name, |bencher| bencher.iter(make()));
    }
    criterion.final_summary();
}
