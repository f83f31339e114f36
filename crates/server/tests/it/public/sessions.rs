//! Contents that come in several requests, and many operations in one.

use std::time::Duration;

use axum::http::StatusCode;
use cairn_chunks::ChunkStore;
use serde_json::{Value, json};

use super::{App, refusal, value};
use crate::support::World;

const BLOCK: usize = 4 << 20;

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let step = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

fn cursor(session: &Value, offset: usize) -> Value {
    json!({ "session_id": session, "offset": offset })
}

async fn start(app: &App<'_>, argument: Value, bytes: &[u8]) -> Value {
    let raw = app
        .upload_raw("files/upload_session/start", argument, bytes.to_vec())
        .await;
    value(&raw)["session_id"].clone()
}

async fn append(
    app: &App<'_>,
    session: &Value,
    offset: usize,
    bytes: &[u8],
    close: bool,
) -> Result<(), Value> {
    let argument = json!({ "cursor": cursor(session, offset), "close": close });
    let raw = app
        .upload_raw("files/upload_session/append_v2", argument, bytes.to_vec())
        .await;
    match raw.status {
        StatusCode::OK => {
            assert_eq!(value(&raw), Value::Null);
            Ok(())
        }
        _ => Err(refusal(&raw).1),
    }
}

async fn finish(
    app: &App<'_>,
    session: &Value,
    offset: usize,
    path: &str,
    bytes: &[u8],
) -> Result<Value, String> {
    let argument = json!({ "cursor": cursor(session, offset), "commit": { "path": path } });
    let raw = app
        .upload_raw("files/upload_session/finish", argument, bytes.to_vec())
        .await;
    match raw.status {
        StatusCode::OK => Ok(value(&raw)),
        _ => Err(refusal(&raw).0),
    }
}

#[tokio::test]
async fn what_comes_in_pieces_is_cut_as_what_comes_at_once() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let bytes = noise(1_000_000);
    let whole = app.put("/whole.bin", &bytes).await;
    let before = world.chunks.list(None, 10_000).await.unwrap();
    let session = start(&app, json!({}), &bytes[..300_000]).await;
    append(&app, &session, 300_000, &bytes[300_000..300_001], false)
        .await
        .unwrap();
    append(&app, &session, 300_001, b"", false).await.unwrap();
    let put = finish(&app, &session, 300_001, "/pieces.bin", &bytes[300_001..])
        .await
        .unwrap();
    assert_eq!(put["content_hash"], whole["content_hash"]);
    assert_eq!(&app.download("/pieces.bin", &[]).await.body[..], &bytes[..]);
    // What the pieces were cut into at their seams is all that is new.
    let after = world.chunks.list(None, 10_000).await.unwrap();
    assert!(
        after.len() - before.len() <= 6,
        "{} and {}",
        before.len(),
        after.len()
    );
    // It is over.
    let again = finish(&app, &session, 1_000_000, "/again.bin", b"")
        .await
        .unwrap_err();
    assert_eq!(again, "lookup_failed/not_found/..");
}

#[tokio::test]
async fn one_piece_is_the_file() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let session = start(&app, json!({}), b"").await;
    append(&app, &session, 0, b"hello", true).await.unwrap();
    let put = finish(&app, &session, 5, "/a/hello", b"").await.unwrap();
    assert_eq!(put["size"], 5);
    let empty = start(&app, json!({ "close": true }), b"").await;
    assert_eq!(finish(&app, &empty, 0, "/empty", b"").await.unwrap()["size"], 0);
}

#[tokio::test]
async fn sequential_pieces_are_refused_out_of_turn() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let eve = world.device("eve@example.com").await;
    let app = App::of(&world, &device);
    let session = start(&app, json!({}), b"one").await;
    for offset in [0, 2, 4] {
        let error = append(&app, &session, offset, b"x", false).await.unwrap_err();
        assert_eq!(error, json!({ ".tag": "incorrect_offset", "correct_offset": 3 }));
        let error = finish(&app, &session, offset, "/a", b"").await.unwrap_err();
        assert_eq!(error, "lookup_failed/incorrect_offset/..");
    }
    let wrong = json!({ "cursor": cursor(&session, 3), "content_hash": "0".repeat(64) });
    let raw = app
        .upload_raw("files/upload_session/append_v2", wrong, "two")
        .await;
    assert_eq!(refusal(&raw).0, "content_hash_mismatch/..");
    append(&app, &session, 3, b"two", true).await.unwrap();
    assert_eq!(
        append(&app, &session, 6, b"x", false).await.unwrap_err()[".tag"],
        "closed"
    );
    assert_eq!(
        finish(&app, &session, 6, "/a", b"x").await.unwrap_err(),
        "lookup_failed/closed/.."
    );
    // Nobody else has it.
    let other = App::of(&world, &eve);
    assert_eq!(
        append(&other, &session, 6, b"x", false).await.unwrap_err()[".tag"],
        "not_found"
    );
    for unknown in ["", "nonsense", "pid_upload_session:AAAA"] {
        let unknown = json!(unknown);
        assert_eq!(
            append(&app, &unknown, 0, b"x", false).await.unwrap_err()[".tag"],
            "not_found"
        );
    }
    finish(&app, &session, 6, "/a", b"").await.unwrap();
    assert_eq!(&app.download("/a", &[]).await.body[..], b"onetwo");
}

#[tokio::test]
async fn a_session_outlives_a_refused_end_and_dies_of_age() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/taken", b"x").await;
    let session = start(&app, json!({}), b"one").await;
    let refused = finish(&app, &session, 3, "/taken", b"two").await.unwrap_err();
    assert_eq!(refused, "path/conflict/file/..");
    // What came with it counts.
    finish(&app, &session, 6, "/free", b"").await.unwrap();
    assert_eq!(&app.download("/free", &[]).await.body[..], b"onetwo");
    let old = start(&app, json!({}), b"one").await;
    world.clock.advance(Duration::from_secs(8 * 86_400));
    assert_eq!(
        append(&app, &old, 3, b"x", false).await.unwrap_err()[".tag"],
        "not_found"
    );
}

#[tokio::test]
async fn concurrent_pieces_come_in_any_order() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let bytes = noise(2 * BLOCK + 5);
    let kind = json!({ "session_type": { ".tag": "concurrent" } });
    let session = start(&app, kind.clone(), b"").await;
    append(&app, &session, 2 * BLOCK, &bytes[2 * BLOCK..], true)
        .await
        .unwrap();
    append(&app, &session, 0, &bytes[..BLOCK], false).await.unwrap();
    let missing = finish(&app, &session, bytes.len(), "/big", b"")
        .await
        .unwrap_err();
    assert_eq!(missing, "concurrent_session_missing_data/..");
    for (offset, len, expected) in [
        (5, BLOCK, "concurrent_session_invalid_offset"),
        (BLOCK, 5, "concurrent_session_invalid_data_size"),
        (3 * BLOCK, BLOCK, "closed"),
    ] {
        let error = append(&app, &session, offset, &bytes[..len], false)
            .await
            .unwrap_err();
        assert_eq!(error[".tag"], expected);
    }
    append(&app, &session, BLOCK, &bytes[BLOCK..2 * BLOCK], false)
        .await
        .unwrap();
    let data = finish(&app, &session, bytes.len(), "/big", b"x")
        .await
        .unwrap_err();
    assert_eq!(data, "concurrent_session_data_not_allowed/..");
    let put = finish(&app, &session, bytes.len(), "/big", b"").await.unwrap();
    assert_eq!(put["size"], bytes.len());
    assert_eq!(&app.download("/big", &[]).await.body[..], &bytes[..]);

    let open = start(&app, kind.clone(), b"").await;
    let error = finish(&app, &open, 0, "/open", b"").await.unwrap_err();
    assert_eq!(error, "concurrent_session_not_closed/..");
    for (argument, bytes, expected) in [
        (kind, "x", "concurrent_session_data_not_allowed/.."),
        (
            json!({ "session_type": "concurrent", "close": true }),
            "",
            "concurrent_session_close_not_allowed/..",
        ),
    ] {
        let raw = app
            .upload_raw("files/upload_session/start", argument, bytes)
            .await;
        assert_eq!(refusal(&raw).0, expected);
    }
}

#[tokio::test]
async fn batches_of_sessions_end_each_on_its_own() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let batch = json!({ "num_sessions": 3, "session_type": "sequential" });
    let started = app.rpc("files/upload_session/start_batch", batch).await;
    let ids = started["session_ids"].as_array().unwrap();
    assert_eq!(ids.len(), 3);
    let piece = |id: &Value, offset: usize, length: usize, close: bool| json!({ "cursor": cursor(id, offset), "length": length, "close": close });
    let pieces = json!({ "entries": [piece(&ids[0], 0, 3, true), piece(&ids[1], 0, 0, true), piece(&ids[2], 9, 4, true)] });
    let raw = app
        .upload_raw("files/upload_session/append_batch", pieces.clone(), "onefour")
        .await;
    let entries = &value(&raw)["entries"];
    assert_eq!(
        (&entries[0][".tag"], &entries[1][".tag"]),
        (&json!("success"), &json!("success"))
    );
    assert_eq!(
        entries[2]["failure"],
        json!({ ".tag": "incorrect_offset", "correct_offset": 0 })
    );
    for wrong in ["onefou", "onefourx"] {
        let raw = app
            .upload_raw("files/upload_session/append_batch", pieces.clone(), wrong)
            .await;
        assert_eq!(refusal(&raw).0, "length_mismatch/..");
    }
    app.put("/taken", b"x").await;
    let end = |id: &Value, offset: usize, path: &str| json!({ "cursor": cursor(id, offset), "commit": { "path": path } });
    let ends = json!({ "entries": [
        end(&ids[0], 3, "/one"),
        end(&ids[1], 0, "/taken"),
        end(&ids[2], 0, "/three"),
        end(&json!("nonsense"), 0, "/four"),
        end(&ids[0], 3, "/a//b"),
    ] });
    let ended = app.rpc("files/upload_session/finish_batch_v2", ends).await;
    let summary = |index: usize| {
        let entry = &ended["entries"][index];
        (
            entry[".tag"].as_str().unwrap().to_owned(),
            entry["failure"].clone(),
        )
    };
    assert_eq!(ended["entries"][0]["path_display"], "/one");
    assert_eq!(summary(0).0, "success");
    assert_eq!(summary(1).1["path"]["conflict"][".tag"], "file");
    assert_eq!(summary(2).1["lookup_failed"][".tag"], "not_closed");
    assert_eq!(summary(3).1["lookup_failed"][".tag"], "not_found");
    assert_eq!(summary(4).0, "failure");
    let retry = json!({ "entries": [end(&ids[1], 0, "/two")] });
    let retried = app.rpc("files/upload_session/finish_batch", retry).await;
    assert_eq!(
        (&retried[".tag"], &retried["entries"][0]["name"]),
        (&json!("complete"), &json!("two"))
    );
    assert_eq!(app.tree().await, ["/one", "/taken", "/two"]);
    let unknown = app
        .refused(
            "files/upload_session/finish_batch/check",
            json!({ "async_job_id": "1" }),
        )
        .await;
    assert_eq!(unknown.0, "invalid_async_job_id/..");
}

#[tokio::test]
async fn batches_of_operations_go_on_after_a_failure() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/file", b"x").await;
    let made = app
        .rpc(
            "files/create_folder_batch",
            json!({ "paths": ["/a", "/file", "/b/c", "/a//"] }),
        )
        .await;
    assert_eq!(made[".tag"], "complete");
    let entries = made["entries"].as_array().unwrap();
    let tags: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry[".tag"].as_str())
        .collect();
    assert_eq!(tags, ["success", "failure", "success", "failure"]);
    assert_eq!(entries[0]["metadata"]["path_display"], "/a");
    assert_eq!(entries[1]["failure"]["path"]["conflict"][".tag"], "file");
    let go = |from: &str, to: &str| json!({ "from_path": from, "to_path": to });
    let moved = json!({ "entries": [go("/file", "/a/file"), go("/none", "/x"), go("/b", "/a/b")] });
    let moved = app.rpc("files/move_batch_v2", moved).await;
    assert_eq!(moved["entries"][0]["success"]["path_display"], "/a/file");
    let failure = &moved["entries"][1]["failure"]["relocation_error"];
    assert_eq!(failure["from_lookup"][".tag"], "not_found");
    let copied = json!({ "entries": [go("/a", "/copy"), go("/a", "/a/in")] });
    let copied = app.rpc("files/copy_batch_v2", copied).await;
    assert_eq!(copied["entries"][0]["success"][".tag"], "folder");
    let failure = &copied["entries"][1]["failure"]["relocation_error"];
    assert_eq!(failure[".tag"], "duplicated_or_nested_paths");
    let gone = json!({ "entries": [{ "path": "/a" }, { "path": "/none" }] });
    let gone = app.rpc("files/delete_batch", gone).await;
    assert_eq!(gone["entries"][0]["metadata"]["name"], "a");
    assert_eq!(gone["entries"][1]["failure"]["path_lookup"][".tag"], "not_found");
    assert_eq!(
        app.tree().await,
        ["/copy/", "/copy/b/", "/copy/b/c/", "/copy/file"]
    );
}

#[tokio::test]
async fn the_same_bytes_have_the_same_revision_however_they_are_put() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let first = app.put("/a.txt", b"one").await;
    let update = json!({ ".tag": "update", "update": first["rev"] });
    for (mode, modified) in [(json!("overwrite"), "2015"), (update, "2016")] {
        let argument = json!({ "path": "/a.txt", "mode": mode, "strict_conflict": true,
            "client_modified": format!("{modified}-05-12T15:50:38Z") });
        let put = value(&app.upload_raw("files/upload", argument, "one").await);
        assert_eq!(put["rev"], first["rev"]);
        let rev = format!("rev:{}", put["rev"].as_str().unwrap());
        assert_eq!(&app.download(&rev, &[]).await.body[..], b"one");
        let found = app.rpc("files/get_metadata", json!({ "path": "/a.txt" })).await;
        assert_eq!(
            (&found["rev"], &found["client_modified"]),
            (&put["rev"], &put["client_modified"])
        );
    }
}
