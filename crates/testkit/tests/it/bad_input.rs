//! Wrong passwords, wrong servers, damage: each is told clearly, and nothing is lost.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, ensure};
use cairn_testkit::device::PATIENCE;
use cairn_testkit::small_disk::SmallDisk;
use cairn_testkit::tree::{Shape, assert_same, realistic};
use cairn_testkit::world::{EMAIL, PASSWORD, World};

#[test]
fn a_wrong_password_or_address_links_nothing() -> Result<()> {
    let world = World::new()?;
    let device = world.stranger("ada")?;
    let url = world.server.url().to_owned();
    device
        .login(&url, EMAIL, "wrong", &[])?
        .refuses(5, &["password"])?;
    device
        .login(&url, "eve@example.org", PASSWORD, &[])?
        .refuses(5, &["password"])?;
    device
        .run(&["whoami"])?
        .refuses(3, &["not linked", "cairn login"])?;
    device.run(&["ls"])?.refuses(3, &["not linked"])?;
    device.try_sync_once(PATIENCE)?.refuses(3, &["not linked"])?;
    device.login(&url, EMAIL, PASSWORD, &[])?.success()?;
    Ok(())
}

/// Answers each connection with `answer`.
fn other_server(answer: &'static [u8]) -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let url = format!("http://{}", listener.local_addr()?);
    // It ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let mut request = [0; 4096];
            // Whatever comes gets the same answer.
            drop(stream.read(&mut request).and_then(|_| stream.write_all(answer)));
        }
    });
    Ok(url)
}

#[test]
fn a_server_that_is_no_cairn_is_told() -> Result<()> {
    let world = World::new()?;
    let device = world.stranger("ada")?;
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"[..],
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let url = other_server(answer)?;
        device
            .login(&url, EMAIL, PASSWORD, &[])?
            .refuses(6, &["127.0.0.1"])?;
    }
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    device
        .login(&format!("http://{free}"), EMAIL, PASSWORD, &[])?
        .refuses(6, &["127.0.0.1"])?;
    device
        .login("no address", EMAIL, PASSWORD, &[])?
        .refuses(2, &["no address"])?;
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[test]
fn a_device_that_was_unlinked_elsewhere_says_so() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    ada.write("before", "synced")?;
    ada.sync_once()?;
    let twin = world.stranger("twin")?;
    copy_folder(&ada.home(), &twin.home())?;
    twin.run(&["logout"])?.success()?;
    ada.write("after", "not synced")?;
    ada.try_sync_once(PATIENCE)?.refuses(3, &["cairn login"])?;
    ada.run(&["ls"])?.refuses(3, &["cairn login"])?;
    assert_eq!(ada.listing()?.paths(), ["after", "before"]);
    ada.login(world.server.url(), EMAIL, PASSWORD, &[])?.success()?;
    ada.sync_once()?;
    let bob = world.device("bob")?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn a_damaged_pack_is_told_and_the_rest_is_served() -> Result<()> {
    let mut world = World::new()?;
    let ada = world.device("ada")?;
    for number in 0..20 {
        ada.write(
            format!("file {number}"),
            cairn_testkit::random::Random::new(number).bytes(50_000),
        )?;
    }
    ada.sync_once()?;
    world.server.stop()?;
    let packs = world.server.files_with_ending(".pack")?;
    let pack = packs.first().context("the server has no pack")?;
    let mut bytes = fs::read(pack)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(pack, bytes)?;
    world.server.start()?;
    let mut damaged = 0;
    for number in 0..20 {
        let path = format!("/file {number}");
        let told = ada.run(&["cat", &path])?;
        if told.code == Some(0) {
            ensure!(
                told.stdout == ada.read(format!("file {number}"))?,
                "{path} reads wrong bytes"
            );
        } else {
            damaged += 1;
            told.refuses(1, &["damaged", &path])?;
        }
    }
    ensure!(damaged == 1, "{damaged} files are damaged by one byte");
    let bob = world.device("bob")?;
    bob.try_sync_once(PATIENCE)?.refuses(1, &["damaged"])?;
    ensure!(bob.listing()?.files().0 == 19, "the other files must arrive");
    ada.sync_once()?;
    ensure!(ada.listing()?.files().0 == 20);
    Ok(())
}

#[test]
fn a_damaged_state_of_a_device_loses_nothing() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    realistic(
        ada.folder(),
        Shape {
            seed: 3,
            files: 60,
            mean_bytes: 8_000,
        },
    )?;
    ada.sync_once()?;
    bob.sync_once()?;
    ada.write("new on ada", "not sent yet")?;
    bob.write("new on bob", "sent")?;
    bob.sync_once()?;
    let mut databases = 0;
    for entry in fs::read_dir(ada.home())? {
        let path = entry?.path();
        let bytes = fs::read(&path).unwrap_or_default();
        if bytes.starts_with(b"SQLite format 3\0") {
            databases += 1;
            let mut broken = bytes;
            let begin = broken.len() / 4;
            broken[begin..].fill(0xa5);
            fs::write(&path, broken)?;
        }
    }
    ensure!(
        databases > 0,
        "the device has no database in {}",
        ada.home().display()
    );
    let before = ada.listing()?;
    let told = ada.try_sync_once(PATIENCE)?;
    if told.code != Some(0) {
        let told = told.refuses(1, &["damaged"])?;
        before.same_as(&ada.listing()?)?;
        anyhow::bail!("a device must mend its own state: {told}");
    }
    bob.sync_once()?;
    let listing = assert_same(&ada, &bob)?;
    for path in before.paths() {
        ensure!(
            listing.get(&path) == before.get(&path),
            "{path} was changed or lost"
        );
    }
    ensure!(listing.get("new on bob").is_some());
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_written_is_told() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    let disk = SmallDisk::mount(&world.path("read only"), 16)?;
    let bob = world.device("bob")?.with_folder(&disk.path().join("folder"));
    ada.write("one", "1")?;
    ada.sync_once()?;
    bob.sync_once()?;
    ada.write("two", "2")?;
    ada.sync_once()?;
    disk.remount("ro")?;
    bob.try_sync_once(PATIENCE)?
        .refuses(1, &["read-only", &bob.folder().to_string_lossy()])?;
    disk.remount("rw")?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn a_folder_that_vanished_deletes_nothing() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    realistic(
        ada.folder(),
        Shape {
            seed: 4,
            files: 20,
            mean_bytes: 2_000,
        },
    )?;
    ada.sync_once()?;
    bob.sync_once()?;
    let before = bob.listing()?;
    let away = world.path("away");
    fs::rename(ada.folder(), &away)?;
    let folder = ada.folder().to_string_lossy().into_owned();
    ada.try_sync_once(PATIENCE)?.refuses(1, &[&folder])?;
    // As when a disk is not mounted: the folder is there and empty.
    if ada.folder().exists() {
        fs::remove_dir_all(ada.folder())?;
    }
    fs::create_dir(ada.folder())?;
    ada.try_sync_once(PATIENCE)?.refuses(1, &[&folder])?;
    bob.sync_once()?;
    before.same_as(&bob.listing()?)?;
    fs::remove_dir_all(ada.folder())?;
    fs::rename(&away, ada.folder())?;
    ada.write("new", "after it came back")?;
    ada.sync_once()?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn a_damaged_key_ring_keeps_the_server_from_starting() -> Result<()> {
    let mut world = World::new()?;
    let ada = world.device("ada")?;
    ada.write("file", "content")?;
    ada.sync_once()?;
    world.server.stop()?;
    let keys = world.server.files_with_ending("keyring")?;
    let keys = keys.first().context("the server has no keyring")?;
    let good = fs::read(keys)?;
    fs::remove_file(keys)?;
    world.server.start_and_fail()?.refuses(1, &["key"])?;
    ensure!(
        !keys.exists(),
        "a new key ring beside packs of the old one would make them unreadable"
    );
    fs::write(keys, good)?;
    world.server.start()?;
    assert_eq!(ada.cat("/file")?, b"content");
    Ok(())
}
