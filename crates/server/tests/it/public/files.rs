//! Putting, finding, moving and deleting by path.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{App, refusal, value};
use cairn_chunks::ChunkStore;

use crate::support::{TestFile, World};

#[tokio::test]
async fn a_file_is_put_and_found_by_every_form_of_its_name() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let put = app.put("/Photos/Été.txt", b"hello").await;
    assert_eq!((&put["name"], &put["size"]), (&json!("Été.txt"), &json!(5)));
    assert_eq!(put["path_lower"], "/photos/été.txt");
    assert_eq!(put["rev"].as_str().unwrap().len(), 32);
    assert_eq!(
        put["content_hash"],
        "9595c9df90075148eb06860365df33584b75bff782a510c6cd4883a419833d50"
    );
    let id = put["id"].as_str().unwrap();
    let root = device.root.get();
    for path in [
        "/photos/ÉTÉ.TXT".to_owned(),
        "/Photos/E\u{301}te\u{301}.txt".to_owned(),
        id.to_owned(),
        format!("ns:{root}/photos/été.txt"),
        format!("rev:{}", put["rev"].as_str().unwrap()),
    ] {
        let found = app.rpc("files/get_metadata", json!({ "path": path })).await;
        assert_eq!(found["id"], put["id"], "{path}");
        let raw = app.download(&path, &[]).await;
        assert_eq!(&raw.body[..], b"hello", "{path}");
    }
    let folder = app.rpc("files/get_metadata", json!({ "path": "/photos" })).await;
    let below = format!("{}/été.txt", folder["id"].as_str().unwrap());
    let found = app.rpc("files/get_metadata", json!({ "path": below })).await;
    assert_eq!(found["id"], put["id"]);
}

#[tokio::test]
async fn what_a_device_puts_an_app_sees_and_the_other_way_round() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let bytes: Vec<u8> = (0..300_000u32)
        .map(|index| (index / 5) as u8 ^ (index >> 8) as u8)
        .collect();
    let file = TestFile::new(&bytes);
    device.put("a.bin", &file).await;
    assert_eq!(&app.download("/a.bin", &[]).await.body[..], &bytes[..]);
    // The same bytes are the same chunks: nothing is stored twice.
    let before = world.chunks.list(None, 1_000).await.unwrap();
    let put = app.put("/b.bin", &bytes).await;
    assert_eq!(world.chunks.list(None, 1_000).await.unwrap(), before);
    assert_eq!(put["content_hash"], file.content.content_hash.to_string());
}

#[tokio::test]
async fn write_modes_are_those_of_the_table() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let first = app.put("/a.txt", b"one").await;
    let rev = first["rev"].as_str().unwrap();
    let other = "0".repeat(31) + "1";
    app.rpc("files/create_folder_v2", json!({ "path": "/dir" })).await;
    let update = |rev: &str| json!({ ".tag": "update", "update": rev });
    // path, mode, strict, content, what comes of it
    for (path, mode, strict, bytes, expected) in [
        ("/a.txt", json!("add"), false, "one", "same"),
        ("/a.txt", json!("add"), true, "one", "path/conflict/file/.."),
        ("/a.txt", json!("add"), false, "two", "path/conflict/file/.."),
        ("/a.txt", json!({ ".tag": "overwrite" }), false, "one", "same"),
        ("/a.txt", update(&other), false, "two", "path/conflict/file/.."),
        ("/a.txt", update(&other), false, "one", "same"),
        (
            "/a.txt/b",
            json!("add"),
            false,
            "x",
            "path/conflict/file_ancestor/..",
        ),
        ("/dir", json!("overwrite"), false, "x", "path/conflict/folder/.."),
        ("/none", update(rev), true, "x", "path/conflict/file/.."),
        ("/a.txt", update(rev), false, "two", "new"),
        ("/a.txt", update(rev), false, "three", "path/conflict/file/.."),
        ("/a.txt", json!("overwrite"), false, "three", "new"),
        ("/x/y/new.txt", update(rev), false, "x", "new"),
    ] {
        let argument = json!({ "path": path, "mode": mode, "strict_conflict": strict });
        let before = app.rpc("files/get_metadata", json!({ "path": "/a.txt" })).await;
        let raw = app.upload_raw("files/upload", argument, bytes).await;
        match expected {
            "same" => assert_eq!(value(&raw)["rev"], before["rev"], "{path} {mode}"),
            "new" => assert_ne!(value(&raw)["rev"], before["rev"], "{path} {mode}"),
            _ => {
                let (summary, error) = refusal(&raw);
                assert_eq!(summary, expected, "{path} {mode}");
                // Clients want both fields beside the tag.
                assert!(error["reason"].is_object() && error["upload_session_id"].is_string());
            }
        }
    }
    let now = app.rpc("files/get_metadata", json!({ "path": "/a.txt" })).await;
    assert_eq!(now["id"], first["id"]);
}

#[tokio::test]
async fn names_that_are_taken_are_numbered_or_named_after_their_writer() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let first = app.put("/a.txt", b"one").await;
    let mut names = Vec::new();
    for (mode, bytes) in [
        (json!("add"), "two"),
        (json!("add"), "three"),
        (json!({ ".tag": "update", "update": "0".repeat(32) }), "four"),
        (json!({ ".tag": "update", "update": "0".repeat(32) }), "five"),
    ] {
        let argument = json!({ "path": "/a.txt", "mode": mode, "autorename": true });
        let put = value(&app.upload_raw("files/upload", argument, bytes).await);
        names.push(put["name"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        names,
        [
            "a (1).txt",
            "a (2).txt",
            "a (ada's conflicted copy).txt",
            "a (ada's conflicted copy) (1).txt"
        ]
    );
    let folder = json!({ "path": "/A.TXT", "autorename": true });
    let made = app.rpc("files/create_folder_v2", folder).await;
    assert_eq!(made["metadata"]["name"], "A (3).TXT");
    let copied = json!({ "from_path": "/a.txt", "to_path": "/a.txt", "autorename": true });
    let copied = app.rpc("files/copy_v2", copied).await;
    assert_eq!(copied["metadata"]["name"], "a (4).txt");
    assert_ne!(copied["metadata"]["id"], first["id"]);
}

#[tokio::test]
async fn a_wrong_content_hash_leaves_nothing() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let argument = json!({ "path": "/a", "content_hash": "0".repeat(64) });
    let (summary, _) = refusal(&app.upload_raw("files/upload", argument, "x").await);
    assert_eq!(summary, "content_hash_mismatch/..");
    assert!(app.tree().await.is_empty());
}

#[tokio::test]
async fn times_are_kept_as_they_were_given() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let argument = json!({ "path": "/a", "client_modified": "2015-05-12T15:50:38Z" });
    let put = value(&app.upload_raw("files/upload", argument, "x").await);
    assert_eq!(put["client_modified"], "2015-05-12T15:50:38Z");
    assert_eq!(put["server_modified"], "2026-11-22T00:00:00Z");
}

#[tokio::test]
async fn moves_keep_ids_and_replace_nothing() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let file = app.put("/a/b/c.txt", b"c").await;
    app.put("/taken.txt", b"t").await;
    let go = |from: &str, to: &str| json!({ "from_path": from, "to_path": to });
    let moved = app.rpc("files/move_v2", go("/a/b", "/x/y/z")).await;
    assert_eq!(moved["metadata"]["path_display"], "/x/y/z");
    assert_eq!(moved["metadata"][".tag"], "folder");
    let found = app
        .rpc("files/get_metadata", json!({ "path": "/x/y/z/c.txt" }))
        .await;
    assert_eq!((&found["id"], &found["rev"]), (&file["id"], &file["rev"]));
    for (from, to, summary) in [
        ("/none", "/b", "from_lookup/not_found/.."),
        ("/x/y/z/c.txt", "/taken.txt", "to/conflict/file/.."),
        ("/taken.txt", "/x", "to/conflict/folder/.."),
        ("/taken.txt", "/taken.txt", "to/conflict/file/.."),
        ("/x", "/x/y/in", "cant_move_folder_into_itself/.."),
        ("/taken.txt", "/a//b", "to/malformed_path/.."),
    ] {
        let (found, _) = app.refused("files/move_v2", go(from, to)).await;
        assert_eq!(found, summary, "{from} {to}");
    }
    let respelled = app.rpc("files/move_v2", go("/x", "/X")).await;
    assert_eq!(respelled["metadata"]["path_display"], "/X");
    let expected = ["/X/", "/X/y/", "/X/y/z/", "/X/y/z/c.txt", "/a/", "/taken.txt"];
    assert_eq!(app.tree().await, expected);
}

#[tokio::test]
async fn copies_of_folders_are_whole_and_new() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let file = app.put("/a/b/c.txt", b"c").await;
    app.put("/a/d.txt", b"d").await;
    let go = |from: &str, to: &str| json!({ "from_path": from, "to_path": to });
    app.rpc("files/copy_v2", go("/a", "/new/copy")).await;
    let (summary, _) = app.refused("files/copy_v2", go("/a", "/a/b/in")).await;
    assert_eq!(summary, "duplicated_or_nested_paths/..");
    let copy = app
        .rpc("files/get_metadata", json!({ "path": "/new/copy/b/c.txt" }))
        .await;
    assert_eq!(copy["content_hash"], file["content_hash"]);
    assert_ne!(copy["id"], file["id"]);
    let expected = [
        "/a/",
        "/a/b/",
        "/a/b/c.txt",
        "/a/d.txt",
        "/new/",
        "/new/copy/",
        "/new/copy/b/",
        "/new/copy/b/c.txt",
        "/new/copy/d.txt",
    ];
    assert_eq!(app.tree().await, expected);
}

#[tokio::test]
async fn deletions_say_what_was_there_and_can_be_guarded() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let first = app.put("/a/b.txt", b"one").await;
    let second = app.put("/a/b.txt", b"two").await;
    let stale = json!({ "path": "/a/b.txt", "parent_rev": first["rev"] });
    let (summary, _) = app.refused("files/delete_v2", stale).await;
    assert_eq!(summary, "path_write/conflict/file/..");
    let right = json!({ "path": "/a/b.txt", "parent_rev": second["rev"] });
    let deleted = app.rpc("files/delete_v2", right).await;
    assert_eq!(deleted["metadata"]["rev"], second["rev"]);
    let (summary, _) = app
        .refused("files/delete_v2", json!({ "path": "/a/b.txt" }))
        .await;
    assert_eq!(summary, "path_lookup/not_found/..");
    // What was deleted can still be had by its revisions.
    let rev = format!("rev:{}", first["rev"].as_str().unwrap());
    assert_eq!(&app.download(&rev, &[]).await.body[..], b"one");
    let (summary, _) = app
        .refused("files/get_metadata", json!({ "path": "/a/b.txt" }))
        .await;
    assert_eq!(summary, "path/not_found/..");
}

#[tokio::test]
async fn revisions_are_listed_and_brought_back() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let mut revs: Vec<Value> = Vec::new();
    for bytes in [b"one", b"two", b"six"] {
        revs.push(app.put("/a.txt", bytes).await["rev"].clone());
    }
    let page = app
        .rpc("files/list_revisions", json!({ "path": "/a.txt", "limit": 2 }))
        .await;
    let found: Vec<&Value> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["rev"])
        .collect();
    assert_eq!(found, [&revs[2], &revs[1]]);
    assert_eq!(
        (&page["has_more"], &page["is_deleted"]),
        (&json!(true), &json!(false))
    );
    let rest = json!({ "path": "/a.txt", "before_rev": revs[1] });
    let rest = app.rpc("files/list_revisions", rest).await;
    assert_eq!(rest["entries"][0]["rev"], revs[0]);
    assert_eq!(rest["has_more"], false);

    let restored = app
        .rpc("files/restore", json!({ "path": "/a.txt", "rev": revs[0] }))
        .await;
    assert_ne!(restored["rev"], revs[0]);
    assert_eq!(&app.download("/a.txt", &[]).await.body[..], b"one");
    // A deleted file comes back under its id, also to another place.
    app.rpc("files/delete_v2", json!({ "path": "/a.txt" })).await;
    let back = app
        .rpc("files/restore", json!({ "path": "/b/a.txt", "rev": revs[1] }))
        .await;
    assert_eq!(
        (&back["id"], &back["path_display"]),
        (&restored["id"], &json!("/b/a.txt"))
    );
    assert_eq!(&app.download("/b/a.txt", &[]).await.body[..], b"two");
    // While it stands somewhere, what comes back is another one.
    let copy = app
        .rpc("files/restore", json!({ "path": "/a.txt", "rev": revs[1] }))
        .await;
    assert_ne!(copy["id"], restored["id"]);

    let unknown = json!({ "path": "/a.txt", "rev": "0123456789" });
    assert_eq!(
        app.refused("files/restore", unknown).await.0,
        "invalid_revision/.."
    );
    let folder = app
        .refused("files/list_revisions", json!({ "path": "/b" }))
        .await
        .0;
    assert_eq!(folder, "path/not_file/..");
}

#[tokio::test]
async fn revisions_of_what_was_deleted_are_listed_by_id() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let first = app.put("/a.txt", b"one").await;
    let second = app.put("/a.txt", b"two").await;
    let folder = app.rpc("files/create_folder_v2", json!({ "path": "/b" })).await;
    for path in ["/a.txt", "/b"] {
        app.rpc("files/delete_v2", json!({ "path": path })).await;
    }
    let gone = json!({ "path": first["id"], "mode": { ".tag": "id" } });
    let gone = app.rpc("files/list_revisions", gone).await;
    assert_eq!(gone["is_deleted"], true);
    let entries = gone["entries"].as_array().unwrap();
    let revs: Vec<&Value> = entries.iter().map(|entry| &entry["rev"]).collect();
    assert_eq!(revs, [&second["rev"], &first["rev"]]);
    let made_up = json!("id:AAAAAAAAAAEAAAAAAAAAAg");
    for (id, expected) in [
        (&folder["metadata"]["id"], "path/not_file/.."),
        (&made_up, "path/not_found/.."),
    ] {
        let refused = app.refused("files/list_revisions", json!({ "path": id })).await;
        assert_eq!(refused.0, expected);
    }
}

#[tokio::test]
async fn downloads_are_whole_or_in_parts() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let bytes: Vec<u8> = (0..1_500_000u32)
        .map(|index| (index / 7) as u8 ^ (index >> 9) as u8)
        .collect();
    let put = app.put("/big \u{1f600}.bin", &bytes).await;
    let id = put["id"].as_str().unwrap();
    let whole = app.download(id, &[]).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.headers["content-length"], "1500000");
    assert_eq!(whole.headers["accept-ranges"], "bytes");
    assert_eq!(&whole.body[..], &bytes[..]);
    let result: Value = serde_json::from_str(whole.headers["dropbox-api-result"].to_str().unwrap()).unwrap();
    assert_eq!(result["name"], "big \u{1f600}.bin");
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=700000-900000", 700_000, 900_001),
        ("bytes=1499999-", 1_499_999, 1_500_000),
        ("bytes=-5", 1_499_995, 1_500_000),
    ] {
        let part = app.download(id, &[("range", range)]).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(&part.body[..], &bytes[from..to], "{range}");
        let expected = format!("bytes {from}-{}/1500000", to - 1);
        assert_eq!(part.headers["content-range"], expected.as_str());
    }
    let beyond = app.download(id, &[("range", "bytes=1500000-")]).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let etag = whole.headers["etag"].to_str().unwrap().to_owned();
    let again = app.download(id, &[("if-none-match", &etag)]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    app.put("/empty", b"").await;
    let empty = app.download("/empty", &[("range", "bytes=0-0")]).await;
    assert_eq!((empty.status, empty.body.len()), (StatusCode::OK, 0));
    let (summary, _) = refusal(&app.download("/", &[]).await);
    assert_eq!(summary, "path/malformed_path/..");
}

#[tokio::test]
async fn the_quota_is_an_error_of_the_path() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    cairn_server::service::accounts::set_quota(world.metadata.as_ref(), "ada@example.com", Some(10))
        .await
        .unwrap();
    app.put("/a", b"12345678").await;
    let argument = json!({ "path": "/b" });
    let (summary, _) = refusal(&app.upload_raw("files/upload", argument, "123").await);
    assert_eq!(summary, "path/insufficient_space/..");
    let space = app.rpc("users/get_space_usage", Value::Null).await;
    let expected = json!({ "used": 8, "allocation": { ".tag": "individual", "allocated": 10 } });
    assert_eq!(space, expected);
}

#[tokio::test]
async fn what_was_deleted_is_found_by_its_path() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let first = app.put("/a/b/c.txt", b"one").await;
    app.put("/a/b/c.txt", b"two").await;
    app.rpc("files/delete_v2", json!({ "path": "/a" })).await;
    let ask = json!({ "path": "/A/b/C.txt", "include_deleted": true });
    let found = app.rpc("files/get_metadata", ask).await;
    assert_eq!(
        (&found[".tag"], &found["path_lower"]),
        (&json!("deleted"), &json!("/a/b/c.txt"))
    );
    let page = app
        .rpc("files/list_revisions", json!({ "path": "/a/b/c.txt" }))
        .await;
    assert_eq!(
        (&page["is_deleted"], page["entries"].as_array().unwrap().len()),
        (&json!(true), 2)
    );
    assert_eq!(page["entries"][1]["rev"], first["rev"]);
    assert_eq!(page["entries"][1]["path_lower"], "/a/b/c.txt");
    let back = json!({ "path": "/a/b/c.txt", "rev": page["entries"][1]["rev"] });
    assert_eq!(app.rpc("files/restore", back).await["id"], first["id"]);
    assert_eq!(app.tree().await, ["/a/", "/a/b/", "/a/b/c.txt"]);
    let never = json!({ "path": "/never", "include_deleted": true });
    assert_eq!(
        app.refused("files/get_metadata", never).await.0,
        "path/not_found/.."
    );
}

#[tokio::test]
async fn names_are_searched_word_by_word() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    for path in [
        "/Été 2026/Plan final.txt",
        "/plan.md",
        "/Été 2026/other.txt",
        "/PLANS/x",
    ] {
        app.put(path, b"x").await;
    }
    let found = async |query: &str, options: Value| {
        let mut page = app
            .rpc("files/search_v2", json!({ "query": query, "options": options }))
            .await;
        let mut paths = Vec::new();
        loop {
            for found in page["matches"].as_array().unwrap() {
                let metadata = &found["metadata"]["metadata"];
                paths.push(metadata["path_display"].as_str().unwrap().to_owned());
            }
            if page["has_more"] == json!(false) {
                paths.sort();
                return paths;
            }
            page = app
                .rpc("files/search/continue_v2", json!({ "cursor": page["cursor"] }))
                .await;
        }
    };
    assert_eq!(
        found("PLAN", json!({ "max_results": 1 })).await,
        ["/PLANS", "/plan.md", "/Été 2026/Plan final.txt"]
    );
    assert_eq!(
        found("final plan", Value::Null).await,
        ["/Été 2026/Plan final.txt"]
    );
    assert_eq!(found("e\u{301}te\u{301}", Value::Null).await, ["/Été 2026"]);
    assert_eq!(
        found("plan", json!({ "file_extensions": ["md"] })).await,
        ["/plan.md"]
    );
    assert_eq!(
        found("plan", json!({ "path": "/été 2026" })).await,
        ["/Été 2026/Plan final.txt"]
    );
    assert_eq!(found("nowhere", Value::Null).await, [""; 0]);
    let nowhere = json!({ "query": "x", "options": { "path": "/none" } });
    assert_eq!(
        app.refused("files/search_v2", nowhere).await.0,
        "path/not_found/.."
    );
    let raw = app
        .raw("files/search/continue_v2", json!({ "cursor": "nonsense" }))
        .await;
    assert_eq!(raw.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_temporary_link_gives_one_state_of_a_file_for_four_hours() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/a b.txt", b"hello").await;
    let request = axum::http::Request::post("/2/files/get_temporary_link")
        .header("authorization", format!("Bearer {}", app.token))
        .header("host", "cairn.example:8321")
        .body(axum::body::Body::from(json!({ "path": "/a b.txt" }).to_string()));
    let given = value(&world.send(request.unwrap()).await);
    let link = given["link"]
        .as_str()
        .unwrap()
        .strip_prefix("http://cairn.example:8321")
        .unwrap();
    let get = async |link: &str, range: Option<&str>| {
        let mut request = axum::http::Request::get(link);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        world.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    app.put("/a b.txt", b"later").await;
    let raw = get(link, None).await;
    assert_eq!((raw.status, &raw.body[..]), (StatusCode::OK, &b"hello"[..]));
    assert_eq!(
        raw.headers["content-disposition"],
        "attachment; filename*=UTF-8''a%20b.txt"
    );
    assert_eq!(raw.headers["x-content-type-options"], "nosniff");
    assert_eq!(&get(link, Some("bytes=1-2")).await.body[..], b"el");
    let mut altered = link.to_owned();
    let middle = altered.len() / 2;
    let letter = if &altered[middle..=middle] == "A" {
        "B"
    } else {
        "A"
    };
    altered.replace_range(middle..=middle, letter);
    assert_eq!(get(&altered, None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(get("/t/nonsense", None).await.status, StatusCode::NOT_FOUND);
    world.clock.advance(std::time::Duration::from_secs(4 * 3_600));
    assert_eq!(get(link, None).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn pictures_are_made_small() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let mut png = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_fn(300, 150, |x, y| image::Rgb([x as u8, y as u8, 9]));
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let put = app.put("/a.PNG", png.get_ref()).await;
    app.put("/b.png", b"no picture").await;
    app.put("/c.txt", b"text").await;
    let get = async |route: &str, argument: Value| {
        let request = axum::http::Request::post(format!("/2/files/{route}"))
            .header("authorization", format!("Bearer {}", app.token))
            .header("dropbox-api-arg", argument.to_string());
        world.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    let resource = |path: &str| json!({ ".tag": "path", "path": path });
    let wanted = json!({ "resource": resource("/a.png"), "size": "w128h128", "format": { ".tag": "png" } });
    let raw = get("get_thumbnail_v2", wanted).await;
    assert_eq!(
        (raw.status, &raw.headers["content-type"]),
        (StatusCode::OK, &"image/png".parse().unwrap())
    );
    let made = image::load_from_memory(&raw.body).unwrap();
    assert_eq!((made.width(), made.height()), (128, 64));
    let result: Value = serde_json::from_str(raw.headers["dropbox-api-result"].to_str().unwrap()).unwrap();
    assert_eq!(result["file_metadata"]["id"], put["id"]);
    let raw = get("get_thumbnail", json!({ "path": put["id"] })).await;
    assert_eq!(raw.headers["content-type"], "image/jpeg");
    assert_eq!(image::load_from_memory(&raw.body).unwrap().width(), 64);
    for (path, summary) in [
        ("/b.png", "unsupported_image/.."),
        ("/c.txt", "unsupported_extension/.."),
        ("/none.png", "path/not_found/.."),
    ] {
        let raw = get("get_thumbnail_v2", json!({ "resource": resource(path) })).await;
        assert_eq!(refusal(&raw).0, summary, "{path}");
    }
    let batch = json!({ "entries": [{ "path": "/a.png" }, { "path": "/c.txt" }] });
    let batch = app.rpc("files/get_thumbnail_batch", batch).await;
    assert_eq!(batch["entries"][0]["metadata"]["id"], put["id"]);
    assert!(batch["entries"][0]["thumbnail"].as_str().unwrap().len() > 100);
    assert_eq!(batch["entries"][1]["failure"][".tag"], "unsupported_extension");
    let many: Vec<Value> = (0..26).map(|_| json!({ "path": "/a.png" })).collect();
    let many = app
        .refused("files/get_thumbnail_batch", json!({ "entries": many }))
        .await;
    assert_eq!(many.0, "too_many_files/..");
}
