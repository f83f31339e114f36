//! Working without the server, and meeting again.

use anyhow::{Result, ensure};
use cairn_testkit::deadline::{Observed, eventually};
use cairn_testkit::device::{Device, PATIENCE};
use cairn_testkit::tree::{Listing, assert_same};
use cairn_testkit::world::World;

/// Waits until both folders hold the same and satisfy `wanted`.
fn equal(ada: &Device, bob: &Device, wanted: impl Fn(&Listing) -> bool) -> Result<Listing> {
    eventually(PATIENCE, "both folders hold what they should", || {
        let (Ok(first), Ok(second)) = (ada.listing(), bob.listing()) else {
            return Ok(Observed::NotYet("a folder changes while it is listed".to_owned()));
        };
        if first == second && wanted(&first) {
            return Ok(Observed::Done(first));
        }
        Ok(Observed::NotYet(format!(
            "{:?} | {:?}",
            first.paths(),
            second.paths()
        )))
    })
}

#[test]
fn devices_that_worked_without_a_server_meet_again() -> Result<()> {
    let mut world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("shared.txt", "at first")?;
    let daemons = [ada.daemon()?, bob.daemon()?];
    equal(&ada, &bob, |listing| listing.len() == 1)?;
    world.server.stop()?;
    ada.write("ada/only.txt", "by ada")?;
    ada.write("shared.txt", "at last, by ada")?;
    bob.write("bob/only.txt", "by bob")?;
    bob.write("shared.txt", "in the end, by bob")?;
    world.server.start()?;
    let listing = equal(&ada, &bob, |listing| listing.files().0 == 4)?;
    for content in ["by ada", "by bob", "at last, by ada", "in the end, by bob"] {
        ensure!(
            listing.holds(&blake3::hash(content.as_bytes())),
            "lost: {content}"
        );
    }
    let copies = listing.named(|name| name.contains("conflict"));
    ensure!(copies.len() == 1, "{copies:?}");
    for daemon in daemons {
        daemon.interrupt(PATIENCE)?.success()?;
    }
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn a_daemon_starts_without_its_server_and_catches_up() -> Result<()> {
    let mut world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("first", "1")?;
    ada.sync_once()?;
    bob.sync_once()?;
    world.server.kill()?;
    let daemons = [ada.daemon()?, bob.daemon()?];
    eventually(PATIENCE, "the daemon says that it is offline", || {
        let Ok(status) = ada.status() else {
            return Ok(Observed::NotYet("no status".to_owned()));
        };
        Ok(Observed::when(status["activity"] == "offline", || {
            status.to_string()
        }))
    })?;
    ada.write("second", "2")?;
    bob.write("third", "3")?;
    world.server.start()?;
    equal(&ada, &bob, |listing| {
        listing.paths() == ["first", "second", "third"]
    })?;
    for daemon in daemons {
        daemon.interrupt(PATIENCE)?.success()?;
    }
    Ok(())
}

#[test]
fn syncing_once_without_a_server_fails_and_says_so() -> Result<()> {
    let mut world = World::new()?;
    let ada = world.device("ada")?;
    ada.write("file", "kept")?;
    world.server.kill()?;
    ada.try_sync_once(PATIENCE)?.refuses(6, &["127.0.0.1"])?;
    assert_eq!(ada.read("file")?, b"kept");
    Ok(())
}
