//! `search_v2`: by what files hold.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cairn_metadata::Scopes;
use cairn_server::{Server, ServerConfig, TextExtractor};
use serde_json::{Value, json};

use super::{App, label};
use crate::support::World;

/// Knows one kind of document: `DOC:` and the text.
#[derive(Default)]
struct Extractor {
    asked: AtomicUsize,
}

#[async_trait]
impl TextExtractor for Extractor {
    fn is_document(&self, beginning: &[u8]) -> bool {
        beginning.starts_with(b"DOC:")
    }

    async fn text_of(&self, document: Vec<u8>, max_bytes: usize) -> Option<String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let text = String::from_utf8(document[4..].to_vec()).ok()?;
        assert!(text.len() <= max_bytes);
        Some(text).filter(|text| text != "unreadable")
    }
}

/// A world whose texts are indexed in a folder.
fn indexed(folder: &Path) -> (World, Arc<Extractor>) {
    let world = World::new();
    let extractor = Arc::new(Extractor::default());
    world.server.index_texts(folder, extractor.clone()).unwrap();
    (world, extractor)
}

/// The same stores under another server.
fn restarted(world: &World, folder: &Path, extractor: &Arc<Extractor>) -> World {
    let (metadata, chunks) = (world.metadata.clone(), world.chunks.clone());
    let server = Server::open(
        ServerConfig::default(),
        metadata.clone(),
        chunks.clone(),
        world.runtime.clone(),
    );
    server.index_texts(folder, extractor.clone()).unwrap();
    World {
        router: server.router(),
        server,
        metadata,
        chunks,
        clock: world.clock.clone(),
        runtime: world.runtime.clone(),
    }
}

/// What is found, page by page, once everything is indexed: path and type of the match.
async fn search(app: &App<'_>, query: &str, options: Value) -> Vec<String> {
    app.world.server.catch_up_texts().await.unwrap();
    let argument = json!({ "query": query, "options": options });
    let mut page = app.rpc("files/search_v2", argument).await;
    let mut found = Vec::new();
    loop {
        found.extend(page["matches"].as_array().unwrap().iter().map(|one| {
            let by = one["match_type"][".tag"].as_str().unwrap();
            format!("{} {by}", label(&one["metadata"]["metadata"]))
        }));
        if page["has_more"] == json!(false) {
            found.sort();
            return found;
        }
        let argument = json!({ "cursor": page["cursor"] });
        page = app.rpc("files/search/continue_v2", argument).await;
    }
}

#[tokio::test]
async fn files_are_found_by_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let (world, _) = indexed(folder.path());
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/a/notes.txt", "Über den Wolken: a zebra, at last".as_bytes())
        .await;
    app.put("/a/zebra.doc", b"DOC:No other ZEBRA than this one").await;
    app.put("/zebra", b"\0nothing that could be read").await;
    app.put("/code.rs", b"fn main() { zebra_2(\"x\"); }").await;
    app.put("/wide.txt", b"\xff\xfez\0e\0b\0r\0a\0").await;
    app.put(
        "/japanese.md",
        "\u{6771}\u{4eac}\u{3078}\u{884c}\u{304f}".as_bytes(),
    )
    .await;
    let all = [
        "/a/notes.txt file_content",
        "/a/zebra.doc filename_and_content",
        "/code.rs file_content",
        "/wide.txt file_content",
        "/zebra filename",
    ];
    for limit in [1, 2, 3, 100] {
        let options = json!({ "max_results": limit });
        assert_eq!(search(&app, "Zebra", options).await, all, "{limit}");
        let options = json!({ "max_results": limit, "order_by": "last_modified_time" });
        assert_eq!(search(&app, "Zebra", options).await, all, "{limit}");
    }
    let below = json!({ "path": "/a", "file_extensions": ["doc"] });
    assert_eq!(search(&app, "zebra", below).await, [all[1]]);
    let names = json!({ "filename_only": true });
    assert_eq!(
        search(&app, "zebra", names).await,
        ["/a/zebra.doc filename", "/zebra filename"]
    );
    // Every word, in whatever order; what is written as one is a phrase.
    assert_eq!(search(&app, "last \u{fc}ber", json!({})).await, [all[0]]);
    assert_eq!(search(&app, "zebra_2", json!({})).await, [all[2]]);
    assert_eq!(search(&app, "2_zebra", json!({})).await, [""; 0]);
    let japanese = ["/japanese.md file_content"];
    assert_eq!(search(&app, "\u{4eac}\u{3078}", json!({})).await, japanese);
    assert_eq!(search(&app, "\u{3078}\u{4eac}", json!({})).await, [""; 0]);
}

#[tokio::test]
async fn passages_are_told_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (world, _) = indexed(folder.path());
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/a.txt", b"before a Zebra and behind").await;
    world.server.catch_up_texts().await.unwrap();
    let argument = json!({ "query": "zebra", "match_field_options": { "include_highlights": true } });
    let page = app.rpc("files/search_v2", argument).await;
    let spans = page["matches"][0]["highlight_spans"].as_array().unwrap();
    let told: String = spans
        .iter()
        .map(|span| match span["is_highlighted"] == json!(true) {
            true => format!("[{}]", span["highlight_str"].as_str().unwrap()),
            false => span["highlight_str"].as_str().unwrap().to_owned(),
        })
        .collect();
    assert_eq!(told, "before a [Zebra] and behind");
    let page = app.rpc("files/search_v2", json!({ "query": "zebra" })).await;
    assert_eq!(page["matches"][0].get("highlight_spans"), None);
}

#[tokio::test]
async fn what_is_found_is_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (world, _) = indexed(folder.path());
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let file = app.put("/a/b/file.txt", b"a zebra").await;
    assert_eq!(
        search(&app, "zebra", json!({})).await,
        ["/a/b/file.txt file_content"]
    );
    // Before the index has heard of it, too: the tree says where it is.
    let go = json!({ "from_path": "/a/b", "to_path": "/moved" });
    app.rpc("files/move_v2", go).await;
    let found = app.rpc("files/search_v2", json!({ "query": "zebra" })).await;
    let found = label(&found["matches"][0]["metadata"]["metadata"]);
    assert_eq!(found, "/moved/file.txt");
    let go = json!({ "from_path": "/moved/file.txt", "to_path": "/moved/zebra.txt" });
    app.rpc("files/move_v2", go).await;
    assert_eq!(
        search(&app, "zebra", json!({})).await,
        ["/moved/zebra.txt filename_and_content"]
    );

    app.put("/moved/zebra.txt", b"a giraffe").await;
    let found = app.rpc("files/search_v2", json!({ "query": "zebra" })).await;
    let found = &found["matches"][0]["match_type"];
    assert_eq!(
        found[".tag"], "filename",
        "the words are those of an earlier content"
    );
    assert_eq!(search(&app, "giraffe", json!({})).await.len(), 1);
    let back = json!({ "path": "/moved/zebra.txt", "rev": file["rev"] });
    app.rpc("files/restore", back).await;
    assert_eq!(search(&app, "giraffe", json!({})).await, [""; 0]);
    assert_eq!(search(&app, "zebra", json!({})).await.len(), 1);

    // A folder goes and comes back with all that is in it.
    app.rpc("files/delete_v2", json!({ "path": "/moved" })).await;
    let found = app.rpc("files/search_v2", json!({ "query": "zebra" })).await;
    assert_eq!(found["matches"], json!([]));
    assert_eq!(search(&app, "zebra", json!({})).await, [""; 0]);
    let back = json!({ "path": "/moved/zebra.txt", "rev": file["rev"] });
    app.rpc("files/restore", back).await;
    assert_eq!(search(&app, "zebra", json!({})).await.len(), 1);
}

#[tokio::test]
async fn nobody_finds_what_is_not_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let (world, _) = indexed(folder.path());
    let ada = world.device("ada@example.com").await;
    let eve = world.device("eve@example.com").await;
    let (ada, eve) = (App::of(&world, &ada), App::of(&world, &eve));
    ada.put("/secret.txt", b"a zebra").await;
    assert_eq!(search(&ada, "zebra", json!({})).await.len(), 1);
    assert_eq!(search(&eve, "zebra", json!({})).await, [""; 0]);
    let confined = super::apps::confined(&world, Scopes::APP).await;
    confined.put("/own.txt", b"a zebra").await;
    assert_eq!(
        search(&confined, "zebra", json!({})).await,
        ["/own.txt file_content"]
    );
}

#[tokio::test]
async fn a_content_is_looked_into_once() {
    let folder = tempfile::tempdir().unwrap();
    let (world, extractor) = indexed(folder.path());
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/a", b"DOC:zebra").await;
    app.put("/b", b"DOC:zebra").await;
    assert_eq!(search(&app, "zebra", json!({})).await.len(), 2);
    app.put("/c", b"DOC:zebra").await;
    app.rpc("files/move_v2", json!({ "from_path": "/a", "to_path": "/d" }))
        .await;
    assert_eq!(search(&app, "zebra", json!({})).await.len(), 3);
    assert_eq!(extractor.asked.load(Ordering::SeqCst), 1);
    // Another state and back, between two looks.
    app.put("/b", b"DOC:giraffe").await;
    world.server.catch_up_texts().await.unwrap();
    app.put("/b", b"DOC:zebra").await;
    assert_eq!(search(&app, "zebra", json!({})).await.len(), 3);

    // What cannot be read stops nothing.
    app.put("/e", b"DOC:unreadable").await;
    app.put("/f", b"DOC:\xff").await;
    let rotten = app.put("/g", b"a zebra that rots").await;
    let hash = cairn_core::ids::ChunkHash::of(b"a zebra that rots");
    world.chunks.rotten.lock().unwrap().insert(hash);
    app.put("/h", b"zebra").await;
    let found = search(&app, "zebra", json!({})).await;
    assert_eq!(found.len(), 4, "{found:?} {rotten}");
}

#[tokio::test]
async fn an_index_goes_on_after_a_restart_and_is_made_anew_where_it_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (first, extractor) = indexed(folder.path());
    let device = first.device("ada@example.com").await;
    let app = App::of(&first, &device);
    app.put("/a", b"DOC:zebra").await;
    assert_eq!(search(&app, "zebra", json!({})).await.len(), 1);
    app.put("/b", b"DOC:another zebra").await;

    let second = restarted(&first, folder.path(), &extractor);
    let app = App::of(&second, &device);
    assert_eq!(search(&app, "zebra", json!({})).await.len(), 2);
    assert_eq!(extractor.asked.load(Ordering::SeqCst), 2);

    // Damaged while nobody looked.
    let namespace = folder.path().join("1").join(device.root.get().to_string());
    for damage in ["", "{ no more"] {
        let third = restarted(&first, folder.path(), &extractor);
        let app = App::of(&third, &device);
        std::fs::write(namespace.join("meta.json"), damage).unwrap();
        let page = app.rpc("files/search_v2", json!({ "query": "zebra" })).await;
        assert_eq!(page["matches"], json!([]), "names are searched all the same");
        assert_eq!(search(&app, "zebra", json!({})).await.len(), 2);
    }
    std::fs::remove_dir_all(&namespace).unwrap();
    let fourth = restarted(&first, folder.path(), &extractor);
    let app = App::of(&fourth, &device);
    assert_eq!(search(&app, "zebra", json!({})).await.len(), 2);

    // Of another version, and of another namespace.
    std::fs::create_dir(folder.path().join("0")).unwrap();
    let stranger = folder.path().join("1/4711");
    std::fs::create_dir(&stranger).unwrap();
    let fifth = restarted(&first, folder.path(), &extractor);
    let other = fifth.device("eve@example.com").await;
    let others = folder.path().join("1").join(other.root.get().to_string());
    std::fs::create_dir(&others).unwrap();
    for entry in std::fs::read_dir(&namespace).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), others.join(entry.file_name())).unwrap();
    }
    let app = App::of(&fifth, &other);
    app.put("/own", b"zebra").await;
    assert_eq!(search(&app, "zebra", json!({})).await, ["/own file_content"]);
    assert!(!folder.path().join("0").exists() && !stranger.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_search_while_an_index_is_made_spoils_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (world, _) = indexed(folder.path());
    for number in 0..20 {
        let device = world.device(&format!("user{number}@example.com")).await;
        let app = App::of(&world, &device);
        app.put("/a", b"a zebra").await;
        let searches = (0..8).map(|_| app.rpc("files/search_v2", json!({ "query": "zebra" })));
        let searches = futures::future::join_all(searches);
        let (caught_up, _) = tokio::join!(world.server.catch_up_texts(), searches);
        caught_up.unwrap();
        // Without catching up once more, which would mend it.
        let page = app.rpc("files/search_v2", json!({ "query": "zebra" })).await;
        assert_eq!(page["matches"].as_array().unwrap().len(), 1, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_job_follows_commits() {
    let folder = tempfile::tempdir().unwrap();
    let (world, _) = indexed(folder.path());
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let count = || async {
        let page = app.rpc("files/search_v2", json!({ "query": "zebra" })).await;
        page["matches"].as_array().unwrap().len()
    };
    app.put("/before", b"a zebra").await;
    world.server.start_jobs();
    // tidy: sleep because the clock stands still and is moved on by this alone
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(count().await, 1);
    for (path, expected) in [("/behind", 2), ("/at last", 3)] {
        app.put(path, b"a zebra").await;
        assert_eq!(count().await, expected - 1, "it is not quiet yet");
        // tidy: sleep because of the same
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(count().await, expected);
    }
}
