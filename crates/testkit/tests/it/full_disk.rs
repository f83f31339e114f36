//! No space left, on either side.

use anyhow::{Context, Result, ensure};
use cairn_testkit::device::PATIENCE;
use cairn_testkit::random::Random;
use cairn_testkit::small_disk::SmallDisk;
use cairn_testkit::tree::assert_same;
use cairn_testkit::world::World;

#[test]
fn a_full_server_refuses_and_goes_on_when_there_is_room() -> Result<()> {
    let base = tempfile::tempdir()?;
    let disk = SmallDisk::mount(&base.path().join("disk"), 64)?;
    let data = disk.path().join("data");
    let mut world = World::with_server(base.path(), |_, server| server.with_data(&data))?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("before", "there was room")?;
    ada.sync_once()?;
    disk.fill(256 * 1024)?;
    ada.write("too much", Random::new(1).bytes(8 << 20))?;
    let told = ada.try_sync_once(PATIENCE)?;
    let code = told.code.context("it ended by a signal")?;
    ensure!(code != 0, "it cannot have been stored: {told}");
    told.refuses(code, &["space"])?;
    assert_eq!(
        ada.cat("/before")?,
        b"there was room",
        "what was stored stays readable"
    );
    disk.free()?;
    ada.sync_once()?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    world.server.stop()?;
    world.server.start()?;
    ensure!(bob.cat("/too much")? == ada.read("too much")?);
    Ok(())
}

#[test]
fn a_full_device_keeps_what_it_has_and_goes_on_when_there_is_room() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    let disk = SmallDisk::mount(&world.path("disk"), 32)?;
    let bob = world.device("bob")?.with_folder(&disk.path().join("folder"));
    ada.write("small", "first")?;
    ada.sync_once()?;
    bob.sync_once()?;
    disk.fill(2 << 20)?;
    ada.write("large", Random::new(2).bytes(8 << 20))?;
    ada.write("small", "second")?;
    ada.sync_once()?;
    bob.try_sync_once(PATIENCE)?.refuses(1, &["space", "large"])?;
    ensure!(!bob.path("large").exists(), "half a file must not be seen");
    assert_eq!(
        bob.read("small")?,
        b"second",
        "one file that does not fit must not hold up the others"
    );
    disk.free()?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    Ok(())
}
