//! A folder as one archive.

use std::io::{Cursor, Read};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use zip::ZipArchive;

use super::{App, refusal};
use crate::support::{Raw, World};

async fn zip(app: &App<'_>, path: &str, headers: &[(&str, &str)]) -> Raw {
    let mut request = Request::post("/2/files/download_zip")
        .header("authorization", format!("Bearer {}", app.token))
        .header("dropbox-api-arg", json!({ "path": path }).to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_folder_comes_as_an_archive_that_others_read() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let big: Vec<u8> = (0..900_000u32)
        .map(|index| (index / 7) as u8 ^ (index >> 9) as u8)
        .collect();
    app.put("/top/Photos/a b.txt", b"hello").await;
    app.put("/top/Photos/Été/big.bin", &big).await;
    app.put("/top/Photos/empty", b"").await;
    app.put("/top/other", b"not in it").await;
    let raw = zip(&app, "/top/photos", &[]).await;
    assert_eq!(raw.status, StatusCode::OK);
    assert_eq!(raw.headers["content-length"], raw.body.len().to_string().as_str());
    assert_eq!(raw.headers["content-type"], "application/zip");
    let result: Value = serde_json::from_str(raw.headers["dropbox-api-result"].to_str().unwrap()).unwrap();
    assert_eq!(result["metadata"]["path_display"], "/top/Photos");
    let mut archive = ZipArchive::new(Cursor::new(raw.body.to_vec())).unwrap();
    let mut names = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).unwrap();
        names.push(entry.name().unwrap().into_owned());
    }
    assert_eq!(
        names,
        [
            "Photos/",
            "Photos/a b.txt",
            "Photos/empty",
            "Photos/Été/",
            "Photos/Été/big.bin"
        ]
    );
    for (name, expected) in [
        ("Photos/a b.txt", &b"hello"[..]),
        ("Photos/empty", b""),
        ("Photos/Été/big.bin", &big),
    ] {
        let mut found = Vec::new();
        // Its checksum is checked at the end.
        archive.by_name(name).unwrap().read_to_end(&mut found).unwrap();
        assert!(found == expected, "{name}");
    }
}

#[tokio::test]
async fn any_part_of_an_archive_can_be_had_alone() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/d/a", &[7; 100_000]).await;
    app.put("/d/b", b"b").await;
    let whole = zip(&app, "/d", &[]).await;
    let len = whole.body.len();
    let etag = whole.headers["etag"].to_str().unwrap();
    for (from, to) in [
        (0, 1),
        (10, 60),
        (50_000, len - 5),
        (100_000, len),
        (len - 22, len),
    ] {
        let range = format!("bytes={from}-{}", to - 1);
        let part = zip(&app, "/d", &[("range", &range), ("if-range", etag)]).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert!(part.body == whole.body[from..to], "{range}");
    }
    app.put("/d/c", b"c").await;
    let changed = zip(&app, "/d", &[("range", "bytes=0-9"), ("if-range", etag)]).await;
    assert_eq!(changed.status, StatusCode::OK, "it is another archive now");
    assert_ne!(changed.body.len(), len);
}

#[tokio::test]
async fn only_folders_that_are_there_are_archives() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/file", b"x").await;
    for (path, summary) in [("/none", "path/not_found/.."), ("/file", "path/not_folder/..")] {
        assert_eq!(refusal(&zip(&app, path, &[]).await).0, summary);
    }
    assert_eq!(zip(&app, "", &[]).await.status, StatusCode::BAD_REQUEST);
}
