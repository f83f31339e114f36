//! What an edit or a copy of a large file costs on the wire.

use anyhow::Result;
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
