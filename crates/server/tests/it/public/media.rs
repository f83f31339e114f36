//! What pictures tell of themselves.

use serde_json::{Value, json};

use super::App;
use crate::support::World;

/// A picture of one colour. No encoder is needed for what is not compressed: BMP.
fn bmp(width: u32, height: u32) -> Vec<u8> {
    let row = (3 * width).next_multiple_of(4);
    let size = 54 + row * height;
    let mut bytes = b"BM".to_vec();
    for word in [size, 0, 54, 40, width, height] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    bytes.resize(size as usize, 0);
    bytes
}

#[tokio::test]
async fn a_picture_tells_how_large_it_is_to_who_asks() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/Picture.BMP", &bmp(7, 5)).await;
    app.put("/broken.png", b"no picture").await;
    app.put("/picture.txt", &bmp(7, 5)).await;
    app.rpc("files/create_folder_v2", json!({ "path": "/folder.png" }))
        .await;
    let ask = async |path: &str, include: bool| {
        let argument = json!({ "path": path, "include_media_info": include });
        app.rpc("files/get_metadata", argument).await["media_info"].clone()
    };
    let expected = json!({
        ".tag": "metadata",
        "metadata": { ".tag": "photo", "dimensions": { "width": 7, "height": 5 } },
    });
    // The second time it is remembered.
    for _ in 0..2 {
        assert_eq!(ask("/picture.bmp", true).await, expected);
    }
    assert_eq!(ask("/picture.bmp", false).await, Value::Null);
    for path in ["/broken.png", "/picture.txt", "/folder.png"] {
        assert_eq!(ask(path, true).await, Value::Null, "{path}");
    }
    let listed = json!({ "path": "", "include_media_info": true });
    let listed = app.rpc("files/list_folder", listed).await;
    let entries = listed["entries"].as_array().unwrap();
    assert!(entries.iter().all(|entry| entry.get("media_info").is_none()));
}
