//! Remote files without a synced folder.

use std::fs;

use anyhow::{Result, ensure};
use cairn_testkit::device::PATIENCE;
use cairn_testkit::tree::long_file;
use cairn_testkit::world::World;

#[test]
fn files_are_put_listed_read_moved_copied_and_removed() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    let source = world.path("source");
    fs::write(&source, "some content")?;
    ada.run(&["mkdir", "/folder"])?.success()?;
    ada.put(&source, "/folder/file", PATIENCE)?.success()?;
    assert_eq!(ada.cat("/folder/file")?, b"some content");
    let listed = ada.run(&["ls", "/folder"])?.success()?.text();
    ensure!(listed.contains("file"), "{listed}");
    ada.run(&["mv", "/folder/file", "/moved"])?.success()?;
    ada.run(&["cp", "/moved", "/folder/copy"])?.success()?;
    assert_eq!(ada.cat("/moved")?, b"some content");
    assert_eq!(ada.cat("/folder/copy")?, b"some content");
    ada.run(&["cat", "/folder/file"])?.refuses(1, &["/folder/file"])?;
    let copy = world.path("copy");
    ada.run(&["get", "/folder/copy", &copy.to_string_lossy()])?
        .success()?;
    assert_eq!(fs::read(copy)?, b"some content");
    ada.run(&["rm", "/moved"])?.success()?;
    ada.sync_once()?;
    assert_eq!(ada.listing()?.paths(), ["folder", "folder/copy"]);
    Ok(())
}

#[test]
fn a_file_put_is_the_file_that_syncs() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    let source = world.path("source");
    long_file(&source, 5, 20 << 20)?;
    ada.put(&source, "/long", PATIENCE)?.success()?;
    ada.sync_once()?;
    ensure!(ada.read("long")? == fs::read(&source)?);
    ensure!(ada.cat("/long")? == fs::read(&source)?);
    // The daemon of this device has done neither of these, and has forgotten nothing.
    fs::write(&source, "another version")?;
    ada.put(&source, "/long", PATIENCE)?.success()?;
    ada.sync_once()?;
    ensure!(ada.read("long")? == b"another version");
    assert_eq!(ada.listing()?.paths(), ["long"]);
    ada.run(&["rm", "/long"])?.success()?;
    ada.sync_once()?;
    ensure!(ada.listing()?.is_empty(), "it came back");
    ada.run(&["cat", "/long"])?.refuses(1, &["/long"])?;
    Ok(())
}
