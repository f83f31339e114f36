//! A process that is killed while it commits: what it acknowledged is there, and the tree is sound.
//!
//! The child is this test binary again, told by its environment to write and to print what was acknowledged.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use cairn_core::change::GroupOutcome;
use cairn_core::ids::{NodeId, OpId};
use cairn_core::rev::Seq;
use cairn_metadata::MetadataStore;
use cairn_metadata::conformance::Fixture;

use crate::stores::sqlite;

const FOLDER: &str = "CAIRN_METADATA_CRASH_FOLDER";
const ROUNDS: usize = 8;

/// Writes until it is killed. Without the variable there is nothing to do.
#[expect(
    clippy::disallowed_methods,
    reason = "the parent can tell its child in no other way"
)]
fn child_folder() -> Option<PathBuf> {
    std::env::var(FOLDER).ok().map(PathBuf::from)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_until_it_is_killed() {
    let Some(folder) = child_folder() else {
        return;
    };
    let store = Arc::new(sqlite(&folder).await);
    let at = Arc::new(Fixture::reopened(store.clone()).await);
    let mut writers = Vec::new();
    for writer in 0..4_u64 {
        let (store, at) = (store.clone(), at.clone());
        writers.push(tokio::spawn(async move {
            for number in 0_u64.. {
                let start = store.head(at.namespace).await.unwrap().unwrap().seq.get() as u64;
                let mut groups = Vec::new();
                for part in 0..5 {
                    let text = format!("{start}-{writer}-{number}-{part}");
                    let mut op = at.new_folder(NodeId::ROOT, &text).1;
                    if let cairn_core::change::Op::Create { node, .. } = &mut op {
                        *node = node_of(&text);
                    }
                    groups.push(vec![op]);
                }
                let mut request = at.request(groups);
                let mut id = [0; 16];
                id[..8].copy_from_slice(&(start << 20 | number).to_le_bytes());
                id[8] = writer as u8;
                request.op_id = OpId::new(id);
                let outcome = store.commit(request).await.unwrap();
                for group in outcome.groups {
                    match group {
                        GroupOutcome::Applied { seqs } => println!("acknowledged {}", seqs[0]),
                        GroupOutcome::Refused { refusal, .. } => panic!("{refusal}"),
                    }
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

fn node_of(text: &str) -> NodeId {
    let hash = cairn_core::ids::ChunkHash::of(text.as_bytes());
    let number = i64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap());
    NodeId::new((number & i64::MAX) | 0x100).unwrap()
}

fn start_child(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::child_that_writes_until_it_is_killed",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills a child after it acknowledged some commits; the highest position that it acknowledged.
fn run_and_kill(folder: &Path, commits: usize) -> Seq {
    let mut child = start_child(folder);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut highest = 0;
    let mut count = 0;
    let mut read = |line: String| {
        // The test harness prints its own words before the first one.
        if let Some((_, seq)) = line.split_once("acknowledged ")
            && let Ok(seq) = seq.trim().parse::<i64>()
        {
            highest = highest.max(seq);
            return 1;
        }
        0
    };
    while count < commits {
        count += read(
            lines
                .next()
                .expect("the child writes until it is killed")
                .unwrap(),
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it printed before it died was acknowledged too; the last line may be cut.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let complete = rest.len().saturating_sub(1);
    for line in rest.into_iter().take(complete) {
        read(line);
    }
    Seq::new(highest).unwrap()
}

#[tokio::test]
async fn acknowledged_commits_survive_kills() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(sqlite(folder.path()).await);
    let at = Fixture::new(store.clone()).await;
    store.close().await;
    for round in 0..ROUNDS {
        let acknowledged = run_and_kill(folder.path(), 20 + 37 * round);
        let store = sqlite(folder.path()).await;
        let head = store.head(at.namespace).await.unwrap().unwrap();
        assert!(
            head.seq >= acknowledged,
            "{acknowledged} was acknowledged, {} is there",
            head.seq
        );
        assert_eq!(store.check(at.namespace).await.unwrap(), Vec::<String>::new());
        let nodes = store
            .nodes_at(at.namespace, head.seq, None, usize::MAX >> 2)
            .await
            .unwrap();
        assert_eq!(nodes.nodes.len() as i64, head.seq.get());
        store.close().await;
    }
}
