//! A transfer that was cut goes on where it was.

use std::fs;

use anyhow::{Result, ensure};
use cairn_testkit::device::PATIENCE;
use cairn_testkit::proxy::Proxy;
use cairn_testkit::tree::{assert_same, long_file};
use cairn_testkit::world::World;

const LENGTH: u64 = 48 << 20;
/// What may be sent twice: requests that were under way when the network was cut.
const UNDER_WAY: u64 = 34 << 20;

#[test]
fn a_cut_upload_does_not_send_again_what_was_acknowledged() -> Result<()> {
    let world = World::new()?;
    let proxy = Proxy::start(world.server.address()?)?;
    let ada = world.device_through("ada", &proxy.url())?;
    let bob = world.device("bob")?;
    long_file(&ada.path("long"), 1, LENGTH)?;
    proxy.reset();
    proxy.cut_after_up(LENGTH * 9 / 10);
    ada.try_sync_once(PATIENCE)?.exits(6)?;
    ensure!(proxy.is_cut());
    let before = proxy.traffic().up_bytes;
    proxy.mend();
    ada.sync_once()?;
    let sent = proxy.traffic().up_bytes;
    ensure!(
        sent < LENGTH + UNDER_WAY,
        "{before} bytes before the cut, {sent} in all, of a file of {LENGTH}"
    );
    ensure!(
        sent - before < UNDER_WAY,
        "{before} bytes before the cut, {sent} in all"
    );
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn a_cut_download_does_not_fetch_again_what_it_has() -> Result<()> {
    let world = World::new()?;
    let proxy = Proxy::start(world.server.address()?)?;
    let ada = world.device("ada")?;
    let bob = world.device_through("bob", &proxy.url())?;
    long_file(&ada.path("long"), 2, LENGTH)?;
    ada.sync_once()?;
    proxy.reset();
    proxy.cut_after_down(LENGTH * 9 / 10);
    bob.try_sync_once(PATIENCE)?.exits(6)?;
    let before = proxy.traffic().down_bytes;
    ensure!(
        !bob.path("long").exists(),
        "a file that is not complete must not be seen"
    );
    proxy.mend();
    bob.sync_once()?;
    let fetched = proxy.traffic().down_bytes;
    ensure!(
        fetched - before < UNDER_WAY,
        "{before} bytes before the cut, {fetched} in all"
    );
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn a_killed_device_goes_on_where_it_was() -> Result<()> {
    let world = World::new()?;
    let proxy = Proxy::start(world.server.address()?)?;
    let ada = world.device_through("ada", &proxy.url())?;
    long_file(&ada.path("long"), 3, LENGTH)?;
    proxy.reset();
    proxy.cut_after_up(LENGTH * 9 / 10);
    let daemon = ada.daemon()?;
    cairn_testkit::deadline::eventually(PATIENCE, "most of it was sent", || {
        let sent = proxy.traffic().up_bytes;
        Ok(cairn_testkit::deadline::Observed::when(proxy.is_cut(), || {
            format!("{sent} bytes")
        }))
    })?;
    daemon.kill()?;
    let before = proxy.traffic().up_bytes;
    proxy.mend();
    ada.sync_once()?;
    let sent = proxy.traffic().up_bytes;
    ensure!(
        sent - before < UNDER_WAY,
        "{before} bytes before the kill, {sent} in all"
    );
    let copy = world.path("copy");
    ada.run(&["get", "/long", &copy.to_string_lossy()])?.success()?;
    ensure!(fs::read(copy)? == ada.read("long")?);
    Ok(())
}
