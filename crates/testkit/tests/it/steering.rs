//! What users steer: which things of a disk are never sent, and which folders of the server a device does not keep.

use std::fs;

use anyhow::{Result, ensure};
use cairn_testkit::device::Device;
use cairn_testkit::tree::assert_same;
use cairn_testkit::world::World;

fn pair() -> Result<(World, Device, Device)> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    Ok((world, ada, bob))
}

fn meet(devices: &[&Device]) -> Result<()> {
    for device in devices {
        device.sync_once()?;
    }
    Ok(())
}

fn excluded(device: &Device) -> Result<Vec<String>> {
    let told = device.run(&["exclude", "--json"])?.success()?;
    let said: serde_json::Value = serde_json::from_slice(&told.stdout)?;
    let folders = said["excluded"].as_array().into_iter().flatten();
    Ok(folders
        .filter_map(|folder| folder["path"].as_str().map(str::to_owned))
        .collect())
}

#[test]
fn what_a_rule_ignores_is_not_sent_and_the_rules_travel() -> Result<()> {
    let (_world, ada, bob) = pair()?;
    ada.write(".cairnignore", "*.log\n/build/\n!keep.log\n[z-a\n")?;
    ada.write("a.log", "left alone")?;
    ada.write("keep.log", "wanted")?;
    ada.write("build/out.bin", "left alone")?;
    ada.write("deep/build/in.txt", "wanted")?;
    ada.write("deep/.cairnignore", "!b.log\n*.tmp\n")?;
    ada.write("deep/b.log", "wanted by the nearer file")?;
    ada.write("deep/c.tmp", "left alone")?;
    let told = ada.sync_once()?;
    meet(&[&bob])?;
    assert_eq!(
        bob.listing()?.paths(),
        [
            ".cairnignore",
            "deep",
            "deep/.cairnignore",
            "deep/b.log",
            "deep/build",
            "deep/build/in.txt",
            "keep.log"
        ]
    );
    let said = format!("{}{}", told.text(), told.stderr);
    ensure!(said.contains("line 4"), "the bad line is not told: {told}");
    // The same rules hold on the other device.
    bob.write("b.tmp", "sent")?;
    bob.write("deep/d.tmp", "left alone")?;
    meet(&[&bob, &ada])?;
    assert_eq!(ada.read("b.tmp")?, b"sent");
    ensure!(!ada.path("deep/d.tmp").exists());
    Ok(())
}

#[test]
fn what_is_synced_stays_synced_when_a_rule_comes() -> Result<()> {
    let (_world, ada, bob) = pair()?;
    ada.write("notes/a.log", "one")?;
    ada.write("plain", "moves")?;
    meet(&[&ada, &bob])?;
    ada.write(".cairnignore", "notes/\n*.log\n")?;
    meet(&[&ada, &bob])?;
    ada.write("notes/a.log", "two")?;
    bob.write("notes/plan.txt", "new in an ignored folder: left alone")?;
    fs::rename(ada.path("plain"), ada.path("renamed.log"))?;
    meet(&[&ada, &bob, &ada])?;
    assert_eq!(bob.read("notes/a.log")?, b"two");
    assert_eq!(bob.read("renamed.log")?, b"moves");
    ensure!(!ada.path("notes/plan.txt").exists() && bob.path("notes/plan.txt").exists());
    // What another device without the rule would send comes here all the same.
    fs::remove_file(bob.path("notes/a.log"))?;
    meet(&[&bob, &ada])?;
    ensure!(!ada.path("notes/a.log").exists());
    Ok(())
}

#[test]
fn what_was_ignored_is_sent_when_the_rule_goes() -> Result<()> {
    let (_world, ada, bob) = pair()?;
    ada.write("sub/.cairnignore", "*.log\n")?;
    ada.write("sub/deep/a.log", "patience")?;
    meet(&[&ada, &bob])?;
    ensure!(!bob.path("sub/deep/a.log").exists());
    fs::remove_file(bob.path("sub/.cairnignore"))?;
    meet(&[&bob, &ada])?;
    meet(&[&ada, &bob])?;
    assert_eq!(bob.read("sub/deep/a.log")?, b"patience");
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn a_running_daemon_follows_the_rules_as_they_change() -> Result<()> {
    let (_world, ada, bob) = pair()?;
    ada.write("sub/.cairnignore", "*.log\n")?;
    ada.write("sub/deep/a.log", "patience")?;
    let _daemon = ada.start()?;
    ada.run(&["wait", "--timeout", "30"])?.success()?;
    ensure!(ada.status()?["ignored"] == 1, "{}", ada.status()?);
    ada.write("sub/.cairnignore", "*.tmp\n")?;
    ada.run(&["wait", "--timeout", "30"])?.success()?;
    meet(&[&bob])?;
    assert_eq!(bob.read("sub/deep/a.log")?, b"patience");
    Ok(())
}

#[test]
fn a_folder_deleted_elsewhere_stays_for_what_is_ignored_in_it() -> Result<()> {
    let (_world, ada, bob) = pair()?;
    ada.write(".cairnignore", "*.log\n")?;
    ada.write("work/a.txt", "synced")?;
    ada.write("work/a.log", "ignored")?;
    meet(&[&ada, &bob])?;
    fs::remove_dir_all(bob.path("work"))?;
    meet(&[&bob])?;
    let told = ada.sync_once()?;
    ensure!(!ada.path("work/a.txt").exists());
    assert_eq!(ada.read("work/a.log")?, b"ignored");
    let said = format!("{}{}", told.text(), told.stderr);
    ensure!(said.contains("work"), "what stays is not told: {told}");
    // It does not come back on the server, and goes when nothing holds it any more.
    meet(&[&bob])?;
    ensure!(!bob.path("work").exists());
    fs::remove_file(ada.path("work/a.log"))?;
    meet(&[&ada])?;
    ensure!(!ada.path("work").exists());
    Ok(())
}

#[test]
fn an_excluded_folder_goes_from_one_disk_and_comes_back() -> Result<()> {
    let (_world, ada, bob) = pair()?;
    ada.write("big/film.bin", "a film")?;
    ada.write("big/deep/song.bin", "a song")?;
    ada.write("small.txt", "kept")?;
    meet(&[&ada, &bob])?;
    let whole = ada.listing()?;
    bob.write("big/unsent.txt", "made just before")?;
    bob.run(&["exclude", "big"])?.success()?;
    assert_eq!(excluded(&bob)?, ["/big"]);
    meet(&[&bob])?;
    assert_eq!(bob.listing()?.paths(), ["small.txt"]);
    // Nothing was lost, and nothing went from the server.
    meet(&[&ada])?;
    assert_eq!(ada.read("big/unsent.txt")?, b"made just before");
    assert_eq!(ada.listing()?.len(), whole.len() + 1);
    // Work goes on inside, elsewhere, and does not come here.
    ada.write("big/film.bin", "another film")?;
    ada.write("big/new.txt", "new")?;
    fs::rename(ada.path("big"), ada.path("huge"))?;
    meet(&[&ada, &bob])?;
    assert_eq!(bob.listing()?.paths(), ["small.txt"]);
    assert_eq!(excluded(&bob)?, ["/huge"]);
    bob.run(&["exclude", "--remove", "/huge"])?.success()?;
    assert_eq!(excluded(&bob)?, Vec::<String>::new());
    meet(&[&bob])?;
    assert_eq!(bob.read("huge/film.bin")?, b"another film");
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn moves_in_and_out_of_an_excluded_folder_are_moves_on_the_server() -> Result<()> {
    let (_world, ada, bob) = pair()?;
    ada.write("big/out/a.txt", "moves out")?;
    ada.write("in/b.txt", "moves in")?;
    meet(&[&ada, &bob])?;
    bob.run(&["exclude", "/big"])?.success()?;
    meet(&[&bob])?;
    fs::rename(ada.path("big/out"), ada.path("out"))?;
    fs::rename(ada.path("in"), ada.path("big/in"))?;
    meet(&[&ada, &bob])?;
    assert_eq!(bob.listing()?.paths(), ["out", "out/a.txt"]);
    meet(&[&ada])?;
    assert_eq!(ada.read("big/in/b.txt")?, b"moves in");
    Ok(())
}

#[test]
fn nothing_done_beside_an_excluded_folder_deletes_it_on_the_server() -> Result<()> {
    let (_world, ada, bob) = pair()?;
    ada.write("up/big/film.bin", "a film")?;
    ada.write("up/note.txt", "a note")?;
    meet(&[&ada, &bob])?;
    bob.run(&["exclude", "up/big"])?.success()?;
    meet(&[&bob])?;
    // The folder above goes here: what was never here stays on the server.
    fs::remove_dir_all(bob.path("up"))?;
    meet(&[&bob, &ada])?;
    assert_eq!(ada.read("up/big/film.bin")?, b"a film");
    ensure!(!ada.path("up/note.txt").exists());
    // A new folder of its name stands beside it.
    bob.write("up/big/mine.txt", "mine")?;
    meet(&[&bob, &ada, &bob])?;
    assert_eq!(ada.read("up/big (kept here)/mine.txt")?, b"mine");
    assert_eq!(bob.read("up/big (kept here)/mine.txt")?, b"mine");
    assert_eq!(ada.read("up/big/film.bin")?, b"a film");
    // A state that is lost has forgotten it: everything comes, nothing goes.
    fs::remove_file(bob.home().join("state.db"))?;
    fs::remove_dir_all(bob.path(".cairn"))?;
    meet(&[&bob])?;
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn a_running_daemon_is_told_what_to_exclude() -> Result<()> {
    let (_world, ada, bob) = pair()?;
    ada.write("big/film.bin", "a film")?;
    ada.write("file.txt", "a file")?;
    meet(&[&ada, &bob])?;
    let _daemon = bob.start()?;
    bob.run(&["exclude", "big"])?.success()?;
    bob.run(&["wait", "--timeout", "30"])?.success()?;
    assert_eq!(bob.listing()?.paths(), ["file.txt"]);
    for (path, said) in [
        ("nowhere", "not on the server"),
        ("/", "whole"),
        ("file.txt", "not a folder"),
    ] {
        let told = bob.run(&["exclude", path])?;
        ensure!(
            told.code == Some(5) && told.stderr.contains(said),
            "{path}: {told}"
        );
    }
    let told = bob.run(&["exclude", "--remove", "nowhere"])?;
    ensure!(
        told.code == Some(5) && told.stderr.contains("not excluded"),
        "{told}"
    );
    bob.run(&["exclude", "--remove", "big"])?.success()?;
    bob.run(&["wait", "--timeout", "30"])?.success()?;
    assert_same(&ada, &bob)?;
    Ok(())
}
