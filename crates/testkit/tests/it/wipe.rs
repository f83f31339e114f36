//! A device is unlinked from another one and deletes what it keeps, with the real program.

use anyhow::{Context, Result, ensure};
use cairn_testkit::deadline::{Observed, eventually};
use cairn_testkit::device::{Device, PATIENCE};
use cairn_testkit::world::{EMAIL, PASSWORD, World};

/// The id of the account's other device, as `asker` lists it.
fn other(asker: &Device) -> Result<String> {
    let devices = asker.run(&["devices"])?.success()?.text();
    let line = devices.lines().find(|line| !line.contains("(this device)"));
    let id = line.and_then(|line| line.split(' ').next());
    id.map(str::to_owned).context("there is no other device")
}

/// Nothing of the account is left on a device: neither its token nor what it remembered.
fn is_bare(device: &Device) -> Result<()> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(device.home())? {
        left.push(entry?.file_name().to_string_lossy().into_owned());
    }
    left.retain(|name| !["lock", "wiped.json", "control.sock"].contains(&name.as_str()));
    ensure!(left.is_empty(), "{left:?}");
    ensure!(!device.path(".cairn").exists());
    Ok(())
}

fn events(world: &World) -> Result<String> {
    Ok(world.server.admin(&["audit", "export"])?.success()?.text())
}

#[test]
fn a_running_daemon_deletes_what_the_server_has() -> Result<()> {
    let world = World::new()?;
    let (ada, lost) = (world.device("ada")?, world.device("lost")?);
    for (path, content) in [("report.txt", "a report"), ("folder/deep/plan.txt", "a plan")] {
        lost.write(path, content)?;
    }
    lost.write(".cairnignore", "*.secret\n")?;
    lost.write("folder/own.secret", "never sent")?;
    let daemon = lost.start()?;
    lost.run(&["wait"])?.success()?;
    ada.run(&["devices", "unlink", &other(&ada)?, "--wipe"])?
        .success()?;
    eventually(PATIENCE, "the daemon ends", || {
        Ok(Observed::when(!daemon.is_running(), || "it runs".to_owned()))
    })?;
    ensure!(lost.listing()?.paths() == ["folder", "folder/own.secret"]);
    is_bare(&lost)?;
    lost.run(&["status"])?.refuses(
        3,
        &[
            "unlinked",
            "3 files",
            "1 file that the server did not have",
            "left in",
        ],
    )?;
    ensure!(!ada.run(&["devices"])?.success()?.text().contains("lost"));
    let log = events(&world)?;
    ensure!(
        log.contains("\"wipe-asked\"") && log.contains("\"wiped-but-unsent\""),
        "{log}"
    );
    ensure!(ada.cat("/report.txt")? == b"a report");
    lost.login(world.server.url(), EMAIL, PASSWORD, &[])?.success()?;
    lost.sync_once()?;
    ensure!(lost.read("folder/deep/plan.txt")? == b"a plan");
    Ok(())
}

#[test]
fn a_device_that_was_off_deletes_everything_on_its_next_contact() -> Result<()> {
    let mut world = World::new()?;
    let (ada, lost) = (world.device("ada")?, world.device("lost")?);
    for number in 0..200 {
        lost.write(format!("folder/{number}"), format!("file {number}"))?;
    }
    lost.sync_once()?;
    lost.write("draft.txt", "never sent")?;
    let outside = world.path("outside");
    std::fs::create_dir_all(&outside)?;
    std::fs::write(outside.join("mine"), "x")?;
    std::os::unix::fs::symlink(&outside, lost.path("link"))?;
    ada.run(&["devices", "unlink", &other(&ada)?, "--everything"])?
        .exits(2)?;
    ada.run(&["devices", "unlink", &other(&ada)?, "--wipe", "--everything"])?
        .success()?;
    ensure!(
        ada.run(&["devices"])?
            .success()?
            .text()
            .contains("deletes what it keeps")
    );
    // Cut as soon as it has begun, then without its server.
    let daemon = lost.daemon()?;
    eventually(PATIENCE, "the device has written down what it is to do", || {
        let is_begun = lost.home().join("wipe.json").exists() || lost.home().join("wiped.json").exists();
        Ok(match is_begun {
            true => Observed::Done(()),
            false => Observed::NotYet(daemon.output()),
        })
    })?;
    daemon.kill()?;
    world.server.stop()?;
    if lost.home().join("wipe.json").exists() {
        lost.run(&["status"])?.refuses(3, &["deleting what it keeps"])?;
        let daemon = lost.daemon()?;
        eventually(PATIENCE, "the folder is gone although the server is away", || {
            Ok(
                match lost.listing().is_ok_and(|listing| listing.is_empty())
                    && !lost.home().join("state.db").exists()
                {
                    true => Observed::Done(()),
                    false => Observed::NotYet(daemon.output()),
                },
            )
        })?;
        world.server.start()?;
        daemon.finish(PATIENCE)?.refuses(3, &["unlinked"])?;
    }
    ensure!(lost.listing()?.is_empty() && outside.join("mine").exists());
    is_bare(&lost)?;
    Ok(())
}

#[test]
fn a_device_without_a_daemon_hears_of_it_by_any_command() -> Result<()> {
    let world = World::new()?;
    let (ada, lost) = (world.device("ada")?, world.device("lost")?);
    lost.write("report.txt", "a report")?;
    lost.sync_once()?;
    ada.run(&["devices", "unlink", &other(&ada)?, "--wipe"])?
        .success()?;
    lost.run(&["ls"])?
        .refuses(3, &["deleted what it kept", "1 file"])?;
    ensure!(lost.listing()?.is_empty());
    is_bare(&lost)?;
    ensure!(events(&world)?.contains("\"wiped\""));
    Ok(())
}
