//! Going back: the states of a file, and what was deleted.

use std::fs;

use anyhow::{Context, Result, ensure};
use cairn_testkit::device::{Device, PATIENCE};
use cairn_testkit::world::World;
use serde_json::Value;

/// A path's revisions, newest first, and where it is.
fn revs(device: &Device, path: &str) -> Result<(Vec<String>, String)> {
    let told = device.run(&["--json", "revs", path])?.success()?.text();
    let told: Value = serde_json::from_str(&told)?;
    let revs = told["revs"].as_array().context("there are no revs")?.iter();
    let revs = revs.map(|row| row["rev"].as_str().unwrap_or_default().to_owned());
    Ok((
        revs.collect(),
        told["whereabouts"].as_str().unwrap_or_default().to_owned(),
    ))
}

#[test]
fn a_file_goes_back_to_any_of_its_states() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    let source = world.path("source");
    for content in ["one", "two", "three"] {
        fs::write(&source, content)?;
        ada.put(&source, "/notes", PATIENCE)?.success()?;
    }
    let (states, whereabouts) = revs(&ada, "/notes")?;
    ensure!((states.len(), whereabouts.as_str()) == (3, "there"), "{states:?}");
    let listed = ada.run(&["revs", "/notes"])?.success()?.text();
    ensure!(
        listed.lines().count() == 3 && listed.contains("(now)") && listed.contains(ada.name()),
        "{listed}"
    );
    let shown = |arguments: &[&str]| Ok::<_, anyhow::Error>(ada.run(arguments)?.success()?.stdout);
    ensure!(shown(&["cat", "/notes", "--rev", &states[2]])? == b"one");
    let fetched = world.path("fetched");
    let to = fetched.to_string_lossy();
    shown(&["get", "/notes", &to, "--rev", &states[1]])?;
    ensure!(fs::read(&fetched)? == b"two");
    ensure!(ada.cat("/notes")? == b"three", "looking changes nothing");
    shown(&["restore", "/notes", "--rev", &states[2]])?;
    ensure!(ada.cat("/notes")? == b"one");
    ensure!(
        revs(&ada, "/notes")?.0.len() == 4,
        "going back is a change like any other"
    );
    let again = shown(&["restore", "/notes", "--rev", &revs(&ada, "/notes")?.0[0]])?;
    ensure!(String::from_utf8(again)?.contains("is at that revision"));
    ada.sync_once()?;
    ensure!(ada.read("notes")? == b"one", "it syncs");
    Ok(())
}

#[test]
fn what_was_deleted_comes_back_with_all_that_was_in_it() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    ada.write("trip/day one/photo", "a photo")?;
    ada.write("trip/notes", "first")?;
    ada.sync_once()?;
    ada.write("trip/notes", "second")?;
    ada.sync_once()?;
    fs::remove_dir_all(ada.path("trip"))?;
    ada.sync_once()?;
    ada.run(&["ls", "/trip"])?.refuses(1, &["/trip"])?;

    // A file alone, in an earlier state: the folders above are made anew.
    let (states, whereabouts) = revs(&ada, "/trip/notes")?;
    ensure!(
        (states.len(), whereabouts.as_str()) == (2, "deleted"),
        "{states:?}"
    );
    let listed = ada.run(&["revs", "/trip/notes"])?.success()?.text();
    ensure!(listed.contains("cairn restore /trip/notes"), "{listed}");
    ensure!(
        ada.run(&["cat", "/trip/notes", "--rev", &states[1]])?
            .success()?
            .stdout
            == b"first"
    );
    ada.run(&["restore", "/trip/notes", "--rev", &states[1]])?
        .success()?;
    ensure!(ada.cat("/trip/notes")? == b"first");
    ada.run(&["mv", "/trip", "/other"])?.success()?;
    ada.sync_once()?;
    assert_eq!(ada.listing()?.paths(), ["other", "other/notes"]);

    // What was moved away stays; a copy comes to the old place.
    ada.run(&["rm", "--recursive", "/other"])?.success()?;
    ada.write("plan", "the plan")?;
    ada.sync_once()?;
    ada.run(&["mv", "/plan", "/elsewhere"])?.success()?;
    ada.run(&["restore", "/plan"])?.success()?;
    ensure!(ada.cat("/plan")? == b"the plan" && ada.cat("/elsewhere")? == b"the plan");

    // A folder with everything below, in one step.
    ada.write("album/one/a", "a")?;
    ada.write("album/b", "b")?;
    ada.sync_once()?;
    ada.run(&["rm", "--recursive", "/album"])?.success()?;
    ada.sync_once()?;
    ensure!(!ada.path("album").exists());
    ada.run(&["restore", "/album"])?.success()?;
    ada.sync_once()?;
    ensure!(ada.read("album/one/a")? == b"a" && ada.read("album/b")? == b"b");
    Ok(())
}

#[test]
fn going_back_says_what_is_wrong() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    ada.run(&["mkdir", "/folder"])?.success()?;
    let source = world.path("source");
    fs::write(&source, "content")?;
    ada.put(&source, "/folder/file", PATIENCE)?.success()?;
    ada.put(&source, "/folder/other", PATIENCE)?.success()?;
    let (states, _) = revs(&ada, "/folder/file")?;
    ada.run(&["revs", "/never"])?
        .refuses(1, &["/never", "cairn ls"])?;
    ada.run(&["revs", "/folder"])?
        .refuses(1, &["/folder", "folder"])?;
    ada.run(&["revs", "/"])?.refuses(2, &["root"])?;
    ada.run(&["restore", "/never"])?.refuses(1, &["/never"])?;
    ada.run(&["restore", "/folder/file"])?
        .refuses(5, &["not deleted", "--rev"])?;
    ada.run(&["restore", "/folder/other", "--rev", &states[0]])?
        .refuses(1, &["no revision of /folder/other", "cairn revs"])?;
    ada.run(&["restore", "/folder/file", "--rev", "17"])?
        .refuses(2, &["32 hexadecimal digits"])?;
    ada.run(&["get", "/folder", "--rev", &states[0]])?
        .refuses(1, &["/folder"])?;
    Ok(())
}
