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

#[test]
fn verify_counts_what_is_excluded_as_it_is_on_the_server() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("big/deep/film.bin", "a film")?;
    ada.write("small/note.txt", "a note")?;
    ada.sync_once()?;
    bob.sync_once()?;
    bob.run(&["exclude", "/big"])?.success()?;
    bob.sync_once()?;
    let whole = |device: &cairn_testkit::device::Device| -> Result<Value> {
        json(&device.run(&["verify", "--json"])?.success()?.stdout)
    };
    let (adas, bobs) = (whole(&ada)?, whole(&bob)?);
    ensure!(
        bobs["hash"] == bobs["server_hash"] && bobs["hash"] == adas["hash"],
        "{adas} {bobs}"
    );
    ensure!(adas["read"] == 2 && bobs["read"] == 1, "{adas} {bobs}");

    // Work inside goes on elsewhere and changes the hash of both.
    ada.write("big/deep/film.bin", "another film")?;
    ada.write("big/new.txt", "new")?;
    ada.sync_once()?;
    bob.sync_once()?;
    let (adas_next, bobs_next) = (whole(&ada)?, whole(&bob)?);
    ensure!(adas_next["hash"] == bobs_next["hash"], "{adas_next} {bobs_next}");
    ensure!(bobs_next["hash"] != bobs["hash"], "{bobs_next}");

    // What is excluded cannot be compared by itself, and hides nothing beside it.
    let told = bob.run(&["verify", "big"])?;
    ensure!(
        told.code != Some(0) && told.stderr.contains("not a folder"),
        "{told}"
    );
    let path = bob.path("small/note.txt");
    let before = fs::metadata(&path)?.modified()?;
    fs::write(&path, "A note")?;
    File::options().write(true).open(&path)?.set_modified(before)?;
    let told = bob.run(&["verify", "--json"])?.exits(5)?;
    let report = json(&told.stdout)?;
    let differences = report["differences"].as_array().map_or(0, Vec::len);
    let pending = report["pending"].as_array().map_or(0, Vec::len);
    ensure!(differences + pending == 1, "{report}");
    ensure!(report.to_string().contains("small/note.txt"), "{report}");
    Ok(())
}
