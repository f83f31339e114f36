//! What an edit or a copy of a large file costs on the wire.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use cairn_testkit::deadline::{Observed, eventually};
use cairn_testkit::proxy::Proxy;
use cairn_testkit::random::Random;
use cairn_testkit::tree::assert_same;
use cairn_testkit::world::World;

/// Long enough for its chunks to be listed in pages.
const LENGTH: usize = 30 << 20;
/// Bytes that both hops and both directions may take for what changes a few bytes, connections and journal included.
const MOST_BYTES: u64 = 10_000;

/// What a user does to the bytes.
type Edit<'a> = &'a dyn Fn(&mut Vec<u8>);

#[test]
fn small_edits_and_copies_of_a_large_file_cost_few_bytes_on_every_hop() -> Result<()> {
    let world = World::new()?;
    let proxy = Proxy::start(world.server.address()?)?;
    let ada = world.device_through("ada", &proxy.url())?;
    let bob = world.device_through("bob", &proxy.url())?;
    let mut content = Random::new(7).bytes(LENGTH);
    ada.write("large", &content)?;
    ada.sync_once()?;
    bob.sync_once()?;

    let appended = Random::new(8).bytes(1_000_000);
    let inserted = Random::new(9).bytes(1_024);
    let edits: [(&str, u64, Edit<'_>); 4] = [
        ("a byte changed", MOST_BYTES, &|content| content[LENGTH / 2] ^= 1),
        ("a kilobyte inserted", MOST_BYTES, &|content| {
            drop(content.splice(0..0, inserted.clone()))
        }),
        ("a byte removed", MOST_BYTES, &|content| {
            drop(content.drain(LENGTH / 3..=LENGTH / 3))
        }),
        ("a megabyte appended", 2 * 1_030_000, &|content| {
            content.extend(&appended)
        }),
    ];
    for (what, most, edit) in edits {
        edit(&mut content);
        ada.write("large", &content)?;
        proxy.reset();
        ada.sync_once()?;
        bob.sync_once()?;
        let traffic = proxy.traffic();
        let bytes = traffic.up_bytes + traffic.down_bytes;
        assert!(bytes <= most, "{what}: {bytes} bytes, {traffic:?}");
        assert!(
            bob.read("large")? == content,
            "{what}: the other device has something else"
        );
    }
    // A copy.
    ada.write("copy", &content)?;
    proxy.reset();
    ada.sync_once()?;
    bob.sync_once()?;
    let traffic = proxy.traffic();
    let bytes = traffic.up_bytes + traffic.down_bytes;
    assert!(bytes <= MOST_BYTES, "a copy: {bytes} bytes, {traffic:?}");
    assert!(bob.read("copy")? == content, "the copy is something else");
    // And back: the device that received edits what it received.
    content[10] ^= 1;
    bob.write("large", &content)?;
    proxy.reset();
    bob.sync_once()?;
    ada.sync_once()?;
    let traffic = proxy.traffic();
    let bytes = traffic.up_bytes + traffic.down_bytes;
    assert!(bytes <= MOST_BYTES, "back: {bytes} bytes, {traffic:?}");
    assert_same(&ada, &bob)?;
    Ok(())
}

#[test]
fn a_device_does_not_read_back_what_it_sent() -> Result<()> {
    let world = World::new()?;
    let proxy = Proxy::start(world.server.address()?)?;
    let ada = world.device_through("ada", &proxy.url())?;
    let daemon = ada.start()?;
    ada.run(&["wait", "--timeout", "60"])?.success()?;
    proxy.reset();
    for number in 0..500 {
        ada.write(format!("file {number}"), format!("content {number}"))?;
    }
    ada.run(&["wait", "--timeout", "60"])?.success()?;
    let traffic = proxy.traffic();
    // In the journal 500 entries are more than 50 kB.
    assert!(traffic.down_bytes < 15_000, "{traffic:?}");
    let bob = world.device("bob")?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    ada.run(&["stop"])?.success()?;
    drop(daemon);
    Ok(())
}

#[test]
fn a_small_edit_is_seen_on_another_device_without_a_question() -> Result<()> {
    let world = World::new()?;
    let proxy = Proxy::start(world.server.address()?)?;
    let ada = world.device("ada")?;
    let bob = world.device_through("bob", &proxy.url())?;
    let mut large = Random::new(10).bytes(LENGTH);
    ada.write("large", &large)?;
    ada.write("note", "some words")?;
    let daemons = [ada.start()?, bob.start()?];
    for device in [&ada, &bob] {
        device.run(&["wait", "--timeout", "60"])?.success()?;
    }
    large[LENGTH / 2] ^= 1;
    let edits: [(&str, &[u8]); 3] = [
        ("note", b"other words"),
        ("large", &large),
        ("new", b"what was not there"),
    ];
    let patience = Duration::from_secs(60);
    for (path, content) in edits {
        eventually(patience, "the other device has everything", || {
            Ok(Observed::when(bob.listing()? == ada.listing()?, || {
                "it has not".to_owned()
            }))
        })?;
        proxy.reset();
        // At once, so that it is one edit.
        let saved = world.path("saved");
        fs::write(&saved, content)?;
        fs::rename(&saved, ada.path(path))?;
        eventually(patience, "the edit is there and was reported", || {
            let is_there = bob.read(path).is_ok_and(|bytes| bytes == content);
            let requests = proxy.traffic().requests;
            let is_reported = requests.contains_key("POST /sync/1/cursor");
            Ok(Observed::when(is_there && is_reported, || {
                format!("{requests:?}")
            }))
        })?;
        let requests = proxy.traffic().requests;
        ensure!(
            requests.keys().eq(["POST /sync/1/cursor"]) && requests.values().eq(&[1]),
            "{path}: {requests:?}"
        );
    }
    for device in [&ada, &bob] {
        device.run(&["stop"])?.success()?;
    }
    drop(daemons);
    Ok(())
}
