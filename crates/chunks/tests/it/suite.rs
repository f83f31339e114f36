use cairn_chunks::pack::PackOptions;
use cairn_chunks::{MemoryChunks, conformance};

use crate::support::Home;

#[tokio::test(flavor = "multi_thread")]
async fn memory_conforms() {
    conformance::run(|| async { MemoryChunks::new() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_conform() {
    let home = Home::new();
    conformance::run(|| home.next().open(PackOptions::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_packs_conform() {
    let home = Home::new();
    conformance::run(|| home.next().open(PackOptions { pack_bytes: 300 })).await;
}
