//! The daemon in the background.

use std::fs;

use anyhow::{Result, ensure};
use cairn_testkit::deadline::{Observed, eventually};
use cairn_testkit::device::PATIENCE;
use cairn_testkit::tree::assert_same;
use cairn_testkit::world::World;

#[test]
fn a_background_daemon_syncs_and_stops() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    for command in [&["status"][..], &["wait"], &["stop"], &["pause"]] {
        ada.run(command)?.refuses(4, &["cairn start"])?;
    }
    let first = ada.start()?;
    let second = bob.start()?;
    ensure!(first.is_running() && second.is_running());
    ada.write("folder/file", "saved")?;
    ada.run(&["wait", "--timeout", "60"])?.success()?;
    bob.run(&["wait", "--timeout", "60"])?.success()?;
    eventually(PATIENCE, "the file on the other device", || {
        Ok(Observed::when(bob.path("folder/file").exists(), || {
            format!("{:?}", bob.status())
        }))
    })?;
    assert_eq!(bob.read("folder/file")?, b"saved");
    let status = bob.status()?;
    ensure!(
        status["folder"] == bob.folder().to_string_lossy().as_ref(),
        "{status}"
    );
    ada.run(&["start", &ada.folder().to_string_lossy()])?
        .refuses(1, &["already"])?;
    for (device, process) in [(&ada, first), (&bob, second)] {
        device.run(&["stop"])?.success()?;
        eventually(PATIENCE, "the daemon ends", || {
            Ok(Observed::when(!process.is_running(), || {
                format!("process {} runs", process.pid())
            }))
        })?;
        device.run(&["status"])?.exits(4)?;
    }
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn a_paused_daemon_waits_for_resume() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    let daemon = ada.daemon()?;
    eventually(PATIENCE, "the daemon answers", || {
        let told = ada.run(&["pause"])?;
        Ok(Observed::when(told.code == Some(0), || told.to_string()))
    })?;
    ada.write("file", "while it was paused")?;
    ensure!(ada.status()?["activity"] == "paused");
    bob.sync_once()?;
    ensure!(bob.listing()?.is_empty());
    daemon.interrupt(PATIENCE)?.success()?;

    // The next one is paused as well; a pass that is asked for is made.
    ada.write("another", "before a single pass")?;
    ada.sync_once()?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    ada.write("last", "while it was paused still")?;
    let daemon = ada.start()?;
    ensure!(ada.status()?["activity"] == "paused");
    ada.run(&["resume"])?.success()?;
    ada.run(&["wait", "--timeout", "60"])?.success()?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    ada.run(&["stop"])?.success()?;
    eventually(PATIENCE, "the daemon ends", || {
        Ok(Observed::when(!daemon.is_running(), || "it runs".to_owned()))
    })?;
    let _daemon = ada.start()?;
    ensure!(ada.status()?["activity"] != "paused");
    Ok(())
}

#[test]
fn two_daemons_on_one_folder_are_refused() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    let bob = world.device("bob")?.with_folder(ada.folder());
    ada.write("file", "once")?;
    let daemon = ada.daemon()?;
    eventually(PATIENCE, "the daemon answers", || {
        let told = ada.run(&["wait", "--timeout", "1"])?;
        Ok(Observed::when(told.code == Some(0), || told.to_string()))
    })?;
    bob.try_sync_once(PATIENCE)?.refuses(1, &["in use"])?;
    daemon.interrupt(PATIENCE)?.success()?;
    Ok(())
}

#[test]
fn changes_of_many_kinds_are_seen_while_it_runs() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    let daemons = [ada.daemon()?, bob.daemon()?];
    let arrives = |what: &str| {
        eventually(PATIENCE, what, || {
            let (Ok(first), Ok(second)) = (ada.listing(), bob.listing()) else {
                return Ok(Observed::NotYet("a folder changes while it is listed".to_owned()));
            };
            let same = first.same_as(&second);
            Ok(Observed::when(same.is_ok() && !first.is_empty(), || {
                format!("{same:?}")
            }))
        })
    };
    ada.write("a/b/c/file", "1")?;
    arrives("a new file in new folders")?;
    fs::rename(ada.path("a/b"), ada.path("moved"))?;
    arrives("a folder that was moved")?;
    bob.write("moved/c/file", "2")?;
    arrives("an edit from the other side")?;
    fs::write(ada.path("draft"), "3")?;
    fs::rename(ada.path("draft"), ada.path("moved/c/file"))?;
    arrives("an edit by rename, as editors save")?;
    fs::remove_dir_all(bob.path("a"))?;
    arrives("a folder that was deleted")?;
    assert_eq!(bob.read("moved/c/file")?, b"3");
    for daemon in daemons {
        daemon.interrupt(PATIENCE)?.success()?;
    }
    assert_same(&ada, &bob)?;
    Ok(())
}
