//! Random operations on packs and on the specification side by side.

use cairn_chunks::pack::PackOptions;
use cairn_chunks::{ChunkStore, CollectableChunks, MemoryChunks, NewChunk};
use cairn_core::ids::ChunkHash;
use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
use proptest::test_runner::Config;

use crate::support::{Home, chunk};

#[derive(Debug, Clone)]
enum Step {
    Put(Vec<u8>),
    Get(u8),
    Touch(Vec<u8>),
    List(u8, u8),
    Advance,
    Condemn(Vec<u8>),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || prop::collection::vec(0..20_u8, 0..6);
    let step = prop_oneof![
        4 => some().prop_map(Step::Put),
        3 => (0..20_u8).prop_map(Step::Get),
        2 => some().prop_map(Step::Touch),
        1 => (any::<u8>(), 0..30_u8).prop_map(|(after, limit)| Step::List(after, limit)),
        2 => (0..1_u8).prop_map(|_| Step::Advance),
        2 => some().prop_map(Step::Condemn),
        1 => (0..1_u8).prop_map(|_| Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

fn numbered(number: u8) -> NewChunk {
    chunk(&format!("chunk number {number}").repeat(usize::from(number) + 1))
}

fn hashes(numbers: &[u8]) -> Vec<ChunkHash> {
    numbers.iter().map(|number| numbered(*number).hash).collect()
}

async fn compare(steps: Vec<Step>) {
    let home = Home::new();
    let folder = home.next();
    let options = || PackOptions { pack_bytes: 1_000 };
    let model = MemoryChunks::new();
    let mut store = folder.clone().open(options()).await;
    for step in steps {
        match step {
            Step::Put(numbers) => {
                let chunks: Vec<_> = numbers.iter().map(|number| numbered(*number)).collect();
                let lease = store.put(chunks.clone()).await.unwrap();
                assert_eq!(lease, model.put(chunks).await.unwrap());
            }
            Step::Get(number) => {
                let hash = numbered(number).hash;
                assert_eq!(store.get(&hash).await.unwrap(), model.get(&hash).await.unwrap());
            }
            Step::Touch(numbers) => {
                let hashes = hashes(&numbers);
                assert_eq!(
                    store.touch(&hashes).await.unwrap(),
                    model.touch(&hashes).await.unwrap()
                );
            }
            Step::List(after, limit) => {
                let after = ChunkHash::new([after; 32]);
                let limit = usize::from(limit);
                assert_eq!(
                    store.list(Some(&after), limit).await.unwrap(),
                    model.list(Some(&after), limit).await.unwrap()
                );
            }
            Step::Advance => {
                assert_eq!(
                    store.advance_epoch().await.unwrap(),
                    model.advance_epoch().await.unwrap()
                );
            }
            Step::Condemn(mut numbers) => {
                numbers.sort_unstable();
                numbers.dedup();
                let (hashes, round) = (hashes(&numbers), model.epoch());
                let mut there = Vec::new();
                for hash in &hashes {
                    there.push(model.get(hash).await.unwrap().is_some());
                }
                let expected = model.condemn(&hashes, round).await.unwrap();
                let found = store.condemn(&hashes, round).await.unwrap();
                // One that was condemned before stays so in packs; the model has forgotten it.
                for ((found, expected), there) in found.iter().zip(expected).zip(there) {
                    assert!(*found == expected || !there);
                }
            }
            Step::Restart => {
                store.close().await.unwrap();
                store = folder.clone().open(options()).await;
            }
        }
    }
    assert_eq!(
        store.list(None, 100).await.unwrap(),
        model.list(None, 100).await.unwrap()
    );
    store.close().await.unwrap();
}

proptest! {
    #![proptest_config(Config::with_cases(48))]

    #[test]
    fn packs_do_what_memory_does(steps in steps()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(compare(steps));
    }
}
