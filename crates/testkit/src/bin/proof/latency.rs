//! From a save on one device until the other one shows it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use cairn_testkit::deadline::{Observed, Stopwatch, eventually, pause};
use cairn_testkit::device::PATIENCE;
use cairn_testkit::random::Random;
use cairn_testkit::world::World;

use crate::table::Table;

const BYTES: usize = 100_000;
/// Between two trials, so that each meets idle daemons.
const REST: Duration = Duration::from_millis(300);

pub(crate) fn run(dir: &Path, trials: u64) -> Result<Table> {
    let mut world = World::in_dir(dir)?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    let daemons = [ada.daemon()?, bob.daemon()?];
    let mut random = Random::new(42);
    let mut times = Vec::new();
    // The first one waits for the daemons to be ready.
    for trial in 0..=trials {
        let name = format!("file {trial}");
        let content = random.bytes(BYTES);
        pause(REST);
        let since = Stopwatch::start();
        ada.write(&name, &content)?;
        let arrived = eventually(PATIENCE, "the file on the other device", || {
            let seen = fs::metadata(bob.path(&name)).is_ok_and(|found| found.len() == BYTES as u64);
            Ok(if seen {
                Observed::Done(since.elapsed())
            } else {
                Observed::NotYet(String::new())
            })
        })?;
        anyhow::ensure!(bob.read(&name)? == content, "{name} has another content");
        if trial > 0 {
            times.push(arrived);
        }
    }
    times.sort();
    let at = |share: usize| {
        times
            .get((times.len() * share / 100).min(times.len() - 1))
            .copied()
    };
    let mut table = Table::new("latency");
    table.row("trials", times.len());
    for (name, share) in [
        ("fastest", 0),
        ("median", 50),
        ("95 of 100", 95),
        ("slowest", 100),
    ] {
        let time = at(share).context("there was no trial")?;
        table.row(name, format!("{} ms", time.as_millis()));
    }
    for daemon in daemons {
        daemon.interrupt(PATIENCE)?.success()?;
    }
    world.server.stop()?;
    Ok(table)
}
