//! What the device says of itself: `verify`, `why`, and a status that is not green too early.

use std::fs::{self, File};

use anyhow::{Result, ensure};
use cairn_testkit::world::World;
use serde_json::Value;

fn json(text: &[u8]) -> Result<Value> {
    Ok(serde_json::from_slice(text)?)
}

#[test]
fn verify_finds_a_byte_that_was_flipped_under_the_same_time() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    ada.write("a/file", "the bytes as they were")?;
    ada.write("a/b/other", "more")?;
    ada.sync_once()?;
    let told = ada.run(&["verify", "--json"])?.success()?;
    let report = json(&told.stdout)?;
    ensure!(report["hash"] == report["server_hash"], "{report}");
    ensure!(report["files"] == 2 && report["read"] == 2, "{report}");

    let path = ada.path("a/file");
    let before = fs::metadata(&path)?.modified()?;
    fs::write(&path, "the bytes as they wera")?;
    File::options().write(true).open(&path)?.set_modified(before)?;
    let told = ada.run(&["verify", "--json"])?.exits(5)?;
    let _ = told;
    Ok(())
}

#[test]
fn why_names_the_state_of_a_path() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("here", "1")?;
    ada.write("left.swp", "2")?;
    ada.sync_once()?;
    let code = |path: &str| -> Result<Value> {
        let told = ada.run(&["why", path, "--json"])?.success()?;
        Ok(json(&told.stdout)?["code"].clone())
    };
    ensure!(code("here")? == Value::Null);
    ensure!(code("left.swp")? == "ignored");
    ensure!(code("nowhere")? == "not-known");
    ada.write("new", "3")?;
    ensure!(code("new")? == "not-scanned");
    bob.sync_once()?;
    bob.write("here", "edited")?;
    bob.sync_once()?;
    ensure!(
        code("here")? == Value::Null,
        "this device has not heard of it yet"
    );
    Ok(())
}
