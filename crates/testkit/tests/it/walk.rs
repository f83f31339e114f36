//! What is saved on one device appears on the other.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;

use anyhow::{Result, ensure};
use cairn_testkit::editor::Editor;
use cairn_testkit::ledger::Ledger;
use cairn_testkit::proxy::Proxy;
use cairn_testkit::tree::{Shape, assert_same, realistic};
use cairn_testkit::world::World;

#[test]
fn a_file_travels_both_ways() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("notes/one.txt", "from ada")?;
    bob.write("notes/two.txt", "from bob")?;
    ada.sync_once()?;
    bob.sync_once()?;
    ada.sync_once()?;
    assert_same(&ada, &bob)?;
    assert_eq!(bob.read("notes/one.txt")?, b"from ada");
    assert_eq!(ada.read("notes/two.txt")?, b"from bob");
    Ok(())
}

#[test]
fn a_realistic_tree_arrives_to_the_last_bit() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    realistic(
        ada.folder(),
        Shape {
            seed: 7,
            files: 400,
            mean_bytes: 30_000,
        },
    )?;
    ada.write("long", vec![b'x'; 3_000_000])?;
    let before = ada.listing()?;
    ada.sync_once()?;
    bob.sync_once()?;
    let listing = assert_same(&ada, &bob)?;
    before.same_as(&listing)?;
    Ok(())
}

#[test]
fn edits_moves_and_deletes_arrive() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    realistic(
        ada.folder(),
        Shape {
            seed: 8,
            files: 60,
            mean_bytes: 5_000,
        },
    )?;
    let ledger = Ledger::default();
    for (seed, device, other) in [(1, &ada, &bob), (2, &bob, &ada), (3, &ada, &bob)] {
        let mut editor = Editor::new(device.folder(), &format!("editor {seed}"), seed, &ledger)?;
        for _ in 0..60 {
            editor.step()?;
        }
        let before = device.listing()?;
        device.sync_once()?;
        other.sync_once()?;
        before.same_as(&assert_same(device, other)?)?;
    }
    Ok(())
}

#[test]
fn a_second_sync_sends_nothing() -> Result<()> {
    let world = World::new()?;
    let proxy = Proxy::start(world.server.address()?)?;
    let ada = world.device_through("ada", &proxy.url())?;
    realistic(
        ada.folder(),
        Shape {
            seed: 9,
            files: 100,
            mean_bytes: 10_000,
        },
    )?;
    ada.sync_once()?;
    proxy.reset();
    ada.sync_once()?;
    let traffic = proxy.traffic();
    let commits = traffic.requests.get("POST /sync/1/commit");
    ensure!(commits.is_none() && traffic.up_bytes < 20_000, "{traffic:?}");
    Ok(())
}

#[test]
fn a_folder_with_files_is_merged_when_it_is_linked() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("same.txt", "the same")?;
    ada.write("ada.txt", "ada")?;
    bob.write("same.txt", "the same")?;
    bob.write("bob.txt", "bob")?;
    ada.sync_once()?;
    bob.sync_once()?;
    ada.sync_once()?;
    let listing = assert_same(&ada, &bob)?;
    assert_eq!(listing.paths(), ["ada.txt", "bob.txt", "same.txt"]);
    Ok(())
}

#[test]
fn what_cannot_travel_is_named_and_holds_nothing_up() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    let _socket = UnixListener::bind(ada.path("socket"))?;
    fs::write(ada.path(OsStr::from_bytes(b"not \xff text")), "kept")?;
    ada.write("fine", "fine")?;
    let told = ada.try_sync_once(cairn_testkit::device::PATIENCE)?;
    bob.sync_once()?;
    assert_eq!(bob.listing()?.paths(), ["fine"]);
    let said = format!("{}{}", told.text(), told.stderr);
    ensure!(
        said.contains("socket") && said.contains("not "),
        "what was left out is not named: {told}"
    );
    assert_eq!(fs::read(ada.path(OsStr::from_bytes(b"not \xff text")))?, b"kept");
    Ok(())
}
