//! Power cuts at random moments.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use cairn_testkit::chaos::{self, Extent, Plan};
use cairn_testkit::deadline::Stopwatch;
use cairn_testkit::world::World;

use crate::table::{Table, seconds};

/// Kills when nothing else is said.
const KILLS: u64 = 50;

/// So many minutes if they are given, so many kills otherwise.
pub(crate) fn extent(kills: Option<u64>, minutes: Option<u64>) -> Result<Extent> {
    Ok(match minutes {
        Some(minutes) => Extent::Time(Duration::from_secs(minutes * 60)),
        None => Extent::Kills(u32::try_from(kills.unwrap_or(KILLS))?),
    })
}

pub(crate) fn run(dir: &Path, seed: u64, extent: Extent) -> Result<Table> {
    let mut world = World::in_dir(dir)?;
    let since = Stopwatch::start();
    let plan = Plan {
        seed,
        extent,
        longest_life_ms: 3_000,
    };
    let report = chaos::run(&mut world, plan).with_context(|| format!("seed {seed}"))?;
    let mut table = Table::new("kills");
    table.row("seed", seed);
    for line in report.to_string().lines() {
        let (name, value) = line.split_at(20.min(line.len()));
        table.row(name.trim(), value.trim());
    }
    table.row("time", seconds(Duration::from_secs(since.elapsed().as_secs())));
    Ok(table)
}
