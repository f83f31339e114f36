//! `cairn/files/signature` and `cairn/files/upload_delta`.

use cairn_core::content_hash::ContentHasher;
use cairn_metadata::Scopes;
use serde_json::{Value, json};

use super::{App, refusal, value};
use crate::support::{Device, Raw, World};

/// A delta as `rdiff` writes it.
struct Delta(Vec<u8>);

impl Delta {
    fn new() -> Self {
        Self(b"rs\x02\x36".to_vec())
    }

    fn literal(mut self, bytes: &[u8]) -> Self {
        self.0.push(0x43);
        self.0.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    fn copy(mut self, offset: u64, len: u64) -> Self {
        self.0.push(0x54);
        self.0.extend_from_slice(&offset.to_be_bytes());
        self.0.extend_from_slice(&len.to_be_bytes());
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(0);
        self.0
    }
}

fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(b"delta")
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn content_hash(bytes: &[u8]) -> String {
    let mut hasher = ContentHasher::new();
    hasher.update(bytes);
    hasher.finish().to_string()
}

fn argument(path: &str, base: &Value, content: &[u8]) -> Value {
    json!({ "path": path, "mode": "overwrite", "base_rev": base["rev"], "content_hash": content_hash(content) })
}

async fn send(app: &App<'_>, argument: Value, delta: Vec<u8>) -> Raw {
    app.upload_raw("cairn/files/upload_delta", argument, delta).await
}

async fn head(world: &World, device: &Device<'_>) -> i64 {
    world.metadata.head(device.root).await.unwrap().unwrap().seq.get()
}

#[tokio::test]
async fn an_edit_is_sent_as_what_changed() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let old = random(1_500_000);
    let put = app.put("/big", &old).await;
    let middle = 700_001;
    let new = [&old[..middle], b"inserted", &old[middle + 3..], &old[..10]].concat();
    let delta = Delta::new()
        .copy(0, middle as u64)
        .literal(b"inserted")
        .copy(middle as u64 + 3, (old.len() - middle - 3) as u64)
        .copy(0, 10)
        .end();
    let mut wanted = argument("/big", &put, &new);
    wanted["mode"] = json!({ ".tag": "update", "update": put["rev"] });
    wanted["client_modified"] = json!("2020-01-01T00:00:00Z");
    let made = value(&send(&app, wanted, delta.clone()).await);
    assert_eq!((&made["id"], &made["size"]), (&put["id"], &json!(new.len())));
    assert_eq!(made["client_modified"], "2020-01-01T00:00:00Z");
    assert!(app.download("/big", &[]).await.body == new);
    // It is the file that a whole upload would have made.
    let whole = app.put("/whole", &new).await;
    assert_eq!(whole["content_hash"], made["content_hash"]);
    // An older state is a base as well, also of what has gone; and the new file may stand elsewhere.
    app.rpc("files/delete_v2", json!({ "path": "/big" })).await;
    let again = value(&send(&app, argument("/new/place", &put, &new), delta).await);
    assert_ne!(again["id"], put["id"]);
    assert!(app.download("/new/place", &[]).await.body == new);
    // Of nothing, and to nothing.
    let empty = app.put("/empty", b"").await;
    let delta = Delta::new().literal(b"x").end();
    value(&send(&app, argument("/empty", &empty, b"x"), delta).await);
    value(&send(&app, argument("/empty", &put, b""), Delta::new().end()).await);
    assert!(app.download("/empty", &[]).await.body.is_empty());
}

#[tokio::test]
async fn a_wrong_delta_makes_no_file() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let old = random(400_000);
    let put = app.put("/big", &old).await;
    let new = [&old[..], b"!"].concat();
    let good = || Delta::new().copy(0, old.len() as u64).literal(b"!").end();
    let before = head(&world, &device).await;
    let bomb = (0..20).fold(Delta::new(), |delta, _| {
        delta
            .copy(0, 399_999)
            .copy(0, 399_999)
            .copy(0, 399_999)
            .copy(0, 399_999)
    });
    let bomb = (0..5).fold(bomb, |bomb, _| {
        Delta([bomb.0.clone(), bomb.0[4..].to_vec()].concat())
    });
    let jumps = (0..20_000u64).fold(Delta::new(), |delta, step| {
        delta.copy((step * 131_101) % 399_999, 1)
    });
    let mut cases = vec![
        (good(), "/a//b", "path/malformed_path"),
        (good(), "/.DS_Store", "path/disallowed_name"),
        (good(), "/dir", "path/conflict/folder"),
        (b"rs\x02\x37\0".to_vec(), "/big", "malformed_delta"),
        (b"not a delta at all".to_vec(), "/big", "malformed_delta"),
        (Vec::new(), "/big", "malformed_delta"),
        ([good(), b"x".to_vec()].concat(), "/big", "malformed_delta"),
        (
            Delta::new().copy(0, old.len() as u64 + 1).end(),
            "/big",
            "out_of_base",
        ),
        (Delta::new().copy(u64::MAX, 1).end(), "/big", "out_of_base"),
        (Delta::new().copy(1, u64::MAX).end(), "/big", "out_of_base"),
        (
            Delta::new().copy(1, 399_999).literal(b"!").end(),
            "/big",
            "content_hash_mismatch",
        ),
        (Delta::new().end(), "/big", "content_hash_mismatch"),
        (bomb.end(), "/big", "too_much_copied"),
        (jumps.end(), "/big", "too_much_copied"),
    ];
    let whole = good();
    cases.extend((1..whole.len()).map(|len| (whole[..len].to_vec(), "/big", "malformed_delta")));
    app.rpc("files/create_folder_v2", json!({ "path": "/dir" })).await;
    for (delta, path, summary) in cases {
        let raw = send(&app, argument(path, &put, &new), delta).await;
        let (found, _) = refusal(&raw);
        assert_eq!(found, format!("{summary}/.."));
    }
    // Nor does one against what is no file, or is in another state than was promised.
    let mut wrong = argument("/big", &put, &new);
    wrong["base_rev"] = json!("0".repeat(32));
    let (found, _) = refusal(&send(&app, wrong.clone(), good()).await);
    assert_eq!(found, "base_lookup/not_found/..");
    wrong["base_rev"] = json!("latest");
    assert_eq!(send(&app, wrong, good()).await.status, 400);
    let mut stale = argument("/big", &put, &new);
    stale["mode"] = json!({ ".tag": "update", "update": "0".repeat(32) });
    let (found, _) = refusal(&send(&app, stale, good()).await);
    assert_eq!(found, "path/conflict/file/..");
    // Nothing came of any of them but the folder.
    assert_eq!(head(&world, &device).await, before + 1);
    value(&send(&app, argument("/big", &put, &new), good()).await);
}

#[tokio::test]
async fn a_signature_is_of_every_block() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let bytes = random(1_000_000);
    let put = app.put("/big", &bytes).await;
    app.put("/big", b"changed since").await;
    let get = async |argument: Value| {
        let raw = app.upload_raw("cairn/files/signature", argument, "").await;
        assert_eq!(raw.status, 200, "{raw:?}");
        raw
    };
    let rev = format!("rev:{}", put["rev"].as_str().unwrap());
    for (block, blocks) in [(None, 1_117), (Some(65_536), 16), (Some(256), 3_907)] {
        let mut argument = json!({ "path": rev });
        if let Some(block) = block {
            argument["block_size"] = json!(block);
        }
        let raw = get(argument).await;
        assert_eq!(raw.body.len(), 12 + 20 * blocks, "{block:?}");
        assert_eq!(raw.headers["content-length"], raw.body.len().to_string().as_str());
        let result: Value = serde_json::from_slice(raw.headers["dropbox-api-result"].as_bytes()).unwrap();
        assert_eq!(result["rev"], put["rev"]);
        let block = block.unwrap_or(896_u32);
        assert_eq!(&raw.body[..4], b"rs\x01\x37");
        assert_eq!(raw.body[4..8], block.to_be_bytes());
        assert_eq!(raw.body[8..12], 16u32.to_be_bytes());
    }
    app.put("/empty", b"").await;
    assert_eq!(get(json!({ "path": "/empty" })).await.body.len(), 12);
    app.rpc("files/create_folder_v2", json!({ "path": "/dir" })).await;
    for (argument, summary) in [
        (json!({ "path": "/none" }), "path/not_found/.."),
        (json!({ "path": "/dir" }), "path/not_file/.."),
        (json!({ "path": "/big", "block_size": 255 }), ""),
    ] {
        let raw = app.upload_raw("cairn/files/signature", argument, "").await;
        match summary {
            "" => assert_eq!(raw.status, 400),
            _ => assert_eq!(refusal(&raw).0, summary),
        }
    }
}

#[tokio::test]
async fn an_app_with_a_folder_has_no_other_bases() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let ada = App::of(&world, &device);
    let secret = ada.put("/secret", b"secret").await;
    let app = super::apps::confined(&world, Scopes::APP).await;
    let delta = Delta::new().copy(0, 6).end();
    let raw = send(&app, argument("/mine", &secret, b"secret"), delta.clone()).await;
    assert_eq!(refusal(&raw).0, "base_lookup/not_found/..");
    let rev = json!({ "path": format!("rev:{}", secret["rev"].as_str().unwrap()) });
    let raw = app.upload_raw("cairn/files/signature", rev, "").await;
    assert_eq!(refusal(&raw).0, "path/not_found/..");
    let note = app.put("/note", b"note").await;
    let delta = Delta::new().copy(0, 4).literal(b"!").end();
    value(&send(&app, argument("/note", &note, b"note!"), delta).await);
}
