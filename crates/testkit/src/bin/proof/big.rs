//! 5 GiB up and down: how much memory that takes, and what a cut costs.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use cairn_testkit::device::Device;
use cairn_testkit::proxy::{Proxy, Traffic};
use cairn_testkit::tree::{assert_same, long_file};
use cairn_testkit::world::World;

use crate::table::{Table, mebibytes, rate, say};

const LENGTH: u64 = 5 << 30;
const MEMORY: u64 = 200_000_000;
/// A cut may cost the requests that were under way: four bodies of 8 MiB, what the sockets held, and the questions and
/// headers around 80,000 chunks.
const CUT_COST: u64 = 96 << 20;
const PATIENCE: Duration = Duration::from_secs(1_800);

/// One way to the server or back.
struct Way {
    name: &'static str,
    cut_after: fn(&Proxy, u64),
    bytes: fn(&Traffic) -> u64,
}

const UP: Way = Way {
    name: "up",
    cut_after: Proxy::cut_after_up,
    bytes: |traffic| traffic.up_bytes,
};
const DOWN: Way = Way {
    name: "down",
    cut_after: Proxy::cut_after_down,
    bytes: |traffic| traffic.down_bytes,
};

pub(crate) fn run(dir: &Path) -> Result<Table> {
    let mut table = Table::new("big-5g");
    let mut world = World::in_dir(dir)?;
    let proxy = Proxy::start(world.server.address()?)?;
    let ada = world.device_through("ada", &proxy.url())?;
    let bob = world.device_through("bob", &proxy.url())?;
    long_file(&ada.path("five gibibytes"), 5, LENGTH)?;
    table.row("file", mebibytes(LENGTH));
    let sender = cut_half_way(&mut table, &proxy, &ada, &UP)?;
    let receiver = cut_half_way(&mut table, &proxy, &bob, &DOWN)?;
    table.must("memory of the sender", mebibytes(sender), sender < MEMORY);
    table.must("memory of the receiver", mebibytes(receiver), receiver < MEMORY);
    let server = world.server.process()?.peak_rss_bytes();
    table.must("memory of the server", mebibytes(server), server < MEMORY);
    say("comparing");
    assert_same(&ada, &bob)?;
    table.must("trees are identical", "", true);
    world.server.stop()?;
    Ok(table)
}

/// Syncs a device, cuts its network half way, syncs it again; returns the most memory that it had.
fn cut_half_way(table: &mut Table, proxy: &Proxy, device: &Device, way: &Way) -> Result<u64> {
    let Way {
        name,
        cut_after,
        bytes,
    } = way;
    say(&format!("{name}, to be cut half way"));
    proxy.reset();
    cut_after(proxy, LENGTH / 2);
    let cut = device.try_sync_once(PATIENCE)?;
    ensure!(
        proxy.is_cut() && cut.code == Some(6),
        "the cut was not noticed: {cut}"
    );
    let before = proxy.traffic();
    proxy.mend();
    say(&format!("{name}, going on"));
    let rest = device.sync_once_within(PATIENCE)?;
    let traffic = proxy.traffic();
    table.row(
        &format!("{name}, before the cut"),
        rate(cut.elapsed, bytes(&before)),
    );
    table.row(
        &format!("{name}, after it"),
        rate(rest.elapsed, bytes(&traffic) - bytes(&before)),
    );
    let both = format!(
        "{} up, {} down",
        mebibytes(traffic.up_bytes),
        mebibytes(traffic.down_bytes)
    );
    table.row(&format!("{name}, on the wire in all"), both);
    let extra = bytes(&traffic).saturating_sub(LENGTH);
    table.must(
        &format!("{name}, beyond the file"),
        mebibytes(extra),
        extra < CUT_COST,
    );
    Ok(cut.peak_rss_bytes.max(rest.peak_rss_bytes))
}
