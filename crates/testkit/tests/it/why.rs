//! `cairn why`: each state that a user or a server can bring about has its code.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use anyhow::{Result, ensure};
use cairn_testkit::deadline::{Observed, eventually};
use cairn_testkit::device::{Device, PATIENCE};
use cairn_testkit::tree::assert_same;
use cairn_testkit::world::World;
use serde_json::Value;

fn code(device: &Device, path: &str) -> Result<Option<String>> {
    let told = device.run(&["why", path, "--json"])?.success()?;
    let said: Value = serde_json::from_slice(&told.stdout)?;
    ensure!(
        said["in_sync"] == said["code"].is_null() && said["in_sync"] == said["next_step"].is_null(),
        "{said}"
    );
    Ok(said["code"].as_str().map(str::to_owned))
}

#[track_caller]
fn becomes(device: &Device, path: &str, wanted: &str) -> Result<()> {
    eventually(PATIENCE, &format!("{path:?} is {wanted}"), || {
        let seen = code(device, path)?;
        Ok(Observed::when(seen.as_deref() == Some(wanted), || {
            format!("{seen:?}")
        }))
    })
}

#[test]
fn what_stays_here_on_purpose_is_explained() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write(".cairnignore", "*.log\n[z-a\n")?;
    ada.write("big/film.bin", "a film")?;
    ada.write("work/a.txt", "synced")?;
    ada.write("work/a.log", "ignored")?;
    ada.sync_once()?;
    bob.sync_once()?;
    fs::remove_dir_all(bob.path("work"))?;
    bob.sync_once()?;
    ada.run(&["exclude", "big"])?.success()?;
    let _socket = UnixListener::bind(ada.path("socket"))?;
    symlink(OsStr::from_bytes(b"not \xff text"), ada.path("link"))?;
    fs::write(ada.path(OsStr::from_bytes(b"name \xff")), "kept")?;
    let _daemon = ada.start()?;
    ada.run(&["wait", "--timeout", "30"])?.success()?;
    for (path, wanted) in [
        ("work/a.log", "ignored"),
        ("big/film.bin", "excluded"),
        ("big", "excluded"),
        ("socket", "special-file"),
        ("link", "bad-link"),
        ("name \u{fffd}", "not-utf8"),
        (".cairnignore", "ignore-rule"),
        ("work", "left-folder"),
        ("nowhere", "not-known"),
    ] {
        let seen = code(&ada, path)?;
        ensure!(seen.as_deref() == Some(wanted), "{path:?} is {seen:?}");
    }
    ensure!(ada.status()?["in_sync"] == true, "{}", ada.status()?);
    Ok(())
}

#[test]
fn what_waits_is_explained() -> Result<()> {
    let mut world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("file", "at first")?;
    ada.sync_once()?;
    bob.sync_once()?;
    bob.write("file", "edited")?;
    bob.write("new", "from bob")?;
    bob.sync_once()?;
    // It reads the journal and fetches nothing.
    ada.run(&["verify", "--quick"])?.success()?;
    for path in ["file", "new"] {
        let seen = code(&ada, path)?;
        ensure!(seen.as_deref() == Some("download"), "{path} is {seen:?}");
    }
    let daemon = ada.start()?;
    ada.run(&["wait", "--timeout", "30"])?.success()?;
    ensure!(code(&ada, "new")?.is_none());

    ada.run(&["pause"])?.success()?;
    ada.write("later", "while it was paused")?;
    becomes(&ada, "later", "paused")?;
    ada.run(&["resume"])?.success()?;
    ada.run(&["wait", "--timeout", "30"])?.success()?;

    world.server.stop()?;
    ada.write("late", "while the server was away")?;
    becomes(&ada, "late", "offline")?;
    eventually(PATIENCE, "the new file is read without the server", || {
        let told = ada.run(&["why", "late", "--json"])?.success()?.text();
        Ok(Observed::when(told.contains("waits to be sent"), || told.clone()))
    })?;
    ada.run(&["stop"])?.success()?;
    eventually(PATIENCE, "the daemon ends", || {
        Ok(Observed::when(!daemon.is_running(), || "it runs".to_owned()))
    })?;
    let seen = code(&ada, "late")?;
    ensure!(seen.as_deref() == Some("upload"), "{seen:?}");

    world.server.start()?;
    ada.sync_once()?;
    bob.sync_once()?;
    ensure!(code(&ada, "late")?.is_none());
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn a_held_deletion_is_explained_and_all_else_goes_on() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    for number in 0..1_100 {
        ada.write(format!("many/{number}"), number.to_string())?;
    }
    ada.write("other", "at first")?;
    ada.sync_once()?;
    bob.sync_once()?;
    let _daemons = [ada.start()?, bob.start()?];
    for device in [&ada, &bob] {
        device.run(&["wait", "--timeout", "30"])?.success()?;
    }
    fs::remove_dir_all(ada.path("many"))?;
    becomes(&ada, "many/7", "mass-delete")?;
    ada.write("other", "from ada")?;
    bob.write("theirs", "from bob")?;
    eventually(PATIENCE, "other changes travel both ways", || {
        let has_come = bob.read("other")? == b"from ada" && ada.path("theirs").exists();
        Ok(Observed::when(has_come, || format!("{:?}", ada.status())))
    })?;
    let status = ada.status()?;
    ensure!(
        status["held_deletes"] == 1_101 && status["in_sync"] == false,
        "{status}"
    );
    ada.run(&["wait", "--timeout", "30"])?.exits(1)?;
    ensure!(bob.path("many/7").exists() && code(&ada, "many/7")?.as_deref() == Some("mass-delete"));

    ada.run(&["resume", "--release-deletes"])?.success()?;
    eventually(PATIENCE, "the deletion arrives", || {
        Ok(Observed::when(!bob.path("many").exists(), || {
            format!("{:?}", ada.status())
        }))
    })?;
    for device in [&ada, &bob] {
        device.run(&["wait", "--timeout", "30"])?.success()?;
    }
    assert_same(&ada, &bob)?;
    Ok(())
}
