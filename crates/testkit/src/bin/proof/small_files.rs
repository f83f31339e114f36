//! Many small files: what one of them costs in requests and transactions.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use cairn_testkit::proxy::{Proxy, Traffic};
use cairn_testkit::random::Random;
use cairn_testkit::tree::assert_same;
use cairn_testkit::world::World;

use crate::table::{Table, mebibytes, rate, say};

const MEAN_BYTES: u64 = 100_000;
const PATIENCE: Duration = Duration::from_secs(900);
/// Requests that change something on the server, which are its transactions.
const WRITES: [&str; 3] = [
    "POST /sync/1/commit",
    "POST /sync/1/chunks",
    "POST /sync/1/cursor",
];

pub(crate) fn run(dir: &Path, files: u64) -> Result<Table> {
    let mut table = Table::new("small-files");
    let mut world = World::in_dir(dir)?;
    let proxy = Proxy::start(world.server.address()?)?;
    let ada = world.device_through("ada", &proxy.url())?;
    let bob = world.device_through("bob", &proxy.url())?;
    let mut random = Random::new(100);
    for number in 0..files {
        let length = random.below(2 * MEAN_BYTES) as usize;
        ada.write(
            format!("folder {}/file {number}", number % 100),
            random.bytes(length),
        )?;
    }
    let (count, bytes) = ada.listing()?.files();
    table.row("files", count);
    table.row("bytes", mebibytes(bytes));
    say("up");
    proxy.reset();
    let up = ada.sync_once_within(PATIENCE)?;
    table.row("up", rate(up.elapsed, bytes));
    traffic(&mut table, "up", &proxy.traffic(), files);
    say("down");
    proxy.reset();
    let down = bob.sync_once_within(PATIENCE)?;
    table.row("down", rate(down.elapsed, bytes));
    traffic(&mut table, "down", &proxy.traffic(), files);
    assert_same(&ada, &bob)?;
    world.server.stop()?;
    Ok(table)
}

fn traffic(table: &mut Table, way: &str, traffic: &Traffic, files: u64) {
    let per_file = |count: u64| count as f64 / files as f64;
    let writes: u64 = WRITES
        .iter()
        .filter_map(|&request| traffic.requests.get(request))
        .sum();
    for (request, count) in &traffic.requests {
        table.row(&format!("{way}: {request}"), count);
    }
    let requests = per_file(traffic.request_count());
    table.must(
        &format!("{way}: requests per file"),
        format!("{requests:.4}"),
        requests < 0.1,
    );
    let writes = per_file(writes);
    table.must(
        &format!("{way}: transactions per file"),
        format!("{writes:.4}"),
        writes < 0.1,
    );
    let bytes = format!(
        "{} up, {} down",
        mebibytes(traffic.up_bytes),
        mebibytes(traffic.down_bytes)
    );
    table.row(&format!("{way}: on the wire"), bytes);
}
