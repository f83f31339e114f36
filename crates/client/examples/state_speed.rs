//! Measures the state database: `cargo run --release -p cairn-client --example state_speed -- [FILES]`.
//!
//! Puts a synthetic tree into the remote tree, then agrees on all of it, as a first sync does; then reads pages of dirty
//! nodes. Prints node changes a second, bytes of the file for each node, and the greatest resident memory.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::path::Path;
use std::time::Instant;

use cairn_client::fs::Fingerprint;
use cairn_client::state::sqlite::SqliteState;
use cairn_client::state::{ClientState, LocalChange, LocalRow, StateBatch, TreeChange};
use cairn_core::ids::{ContentHash, NamespaceId, NodeId};
use cairn_core::manifest::{ChunkEntry, Manifest};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, FileContent, Place};
use cairn_core::rev::Seq;
use cairn_core::time::Mtime;
use cairn_core::tree::{Entry, Substance};

/// Nodes in one batch, as the daemon makes them.
const BATCH: u64 = 1_000;
/// Files in one folder.
const FOLDER: u64 = 50;

/// What everything here returns: any error, printed.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Spreads numbers over all ids, as random ones are.
fn spread(n: u64) -> Outcome<NodeId> {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    Ok(NodeId::new(((mixed >> 1) | 0x100).cast_signed())?)
}

fn file_content(n: u64) -> FileContent {
    let manifest = Manifest::Inline(vec![ChunkEntry::of(&n.to_le_bytes())]);
    FileContent {
        size: 8,
        file_id: manifest.file_id(8),
        manifest,
        content_hash: ContentHash::new([n as u8; 32]),
    }
}

fn entry(n: u64) -> Outcome<(NodeId, Entry, Option<FileContent>)> {
    let is_folder = n.is_multiple_of(FOLDER);
    let content = (!is_folder).then(|| file_content(n));
    let parent = match n {
        _ if !is_folder => spread(n - n % FOLDER)?,
        // Folders in folders, about ten to one.
        _ if n > 0 => spread((n / FOLDER / 10) * FOLDER)?,
        _ => NodeId::ROOT,
    };
    let name = if is_folder {
        format!("Folder {n}")
    } else {
        format!("IMG_{n:08}.jpg")
    };
    let entry = Entry {
        place: Place {
            parent,
            name: NodeName::new(name)?,
        },
        substance: match &content {
            Some(content) => Substance::File {
                file_id: content.file_id,
                size: content.size,
            },
            None => Substance::Directory,
        },
        attributes: Attributes {
            mtime: Mtime {
                seconds: 1_790_000_000,
                nanos: n as u32,
            },
            executable: false,
        },
        place_seq: Seq::new(n.cast_signed()).ok_or("seq")?,
        content_seq: Seq::new(n.cast_signed()).ok_or("seq")?,
    };
    Ok((spread(n)?, entry, content))
}

fn local(node: NodeId, n: u64, entry: &Entry) -> LocalRow {
    let ctime = Mtime {
        seconds: 1_790_000_001,
        nanos: 5,
    };
    LocalRow {
        node,
        entry: entry.clone(),
        disk_name: None,
        fingerprint: Fingerprint {
            inode: 10_000_000 + n,
            born_ns: Some(1_790_000_000_000_000_000),
            size: 8,
            mtime: entry.attributes.mtime,
            ctime,
        },
        is_unsure: false,
    }
}

fn file_bytes(path: &Path) -> Outcome<u64> {
    Ok(std::fs::metadata(path)?.len())
}

fn resident_peak() -> Outcome<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    Ok(line.unwrap_or("VmHWM: unknown").to_owned())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let files: u64 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("state.db");
    let namespace = NamespaceId::new(1_000)?;
    let state = SqliteState::open(&path).await?;
    let report = |what: &str, since: Instant| {
        let seconds = since.elapsed().as_secs_f64();
        println!("{what}: {:.1} s, {:.0} nodes/s", seconds, files as f64 / seconds);
    };

    let start = Instant::now();
    for from in (0..files).step_by(BATCH as usize) {
        let mut batch = StateBatch::default();
        for n in from..(from + BATCH).min(files) {
            let (node, entry, content) = entry(n)?;
            batch.remote.push(TreeChange::Put(node, entry));
            batch.contents.extend(content);
        }
        state.apply(namespace, batch).await?;
    }
    report("remote tree", start);

    let start = Instant::now();
    let mut after = None;
    let mut pages = 0;
    while pages < 20 {
        let hood = state.neighbourhood(namespace, after, BATCH as usize).await?;
        let Some(last) = hood.dirty.last() else { break };
        after = Some(*last);
        pages += 1;
    }
    println!(
        "neighbourhood of {BATCH} dirty nodes: {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3 / f64::from(pages.max(1))
    );

    let start = Instant::now();
    for from in (0..files).step_by(BATCH as usize) {
        let mut batch = StateBatch::default();
        for n in from..(from + BATCH).min(files) {
            let (node, entry, _) = entry(n)?;
            batch.local.push(LocalChange::Put(local(node, n, &entry)));
            batch.synced.push(TreeChange::Put(node, entry));
        }
        state.apply(namespace, batch).await?;
    }
    report("local and synced tree", start);

    println!("{:?}", state.counts(namespace).await?);
    println!("{}", resident_peak()?);
    state.close().await;
    println!("{} bytes for each node", file_bytes(&path)? / files.max(1));
    Ok(())
}
