//! A few power cuts at random moments; `cargo xtask proof kills` makes many more.

use anyhow::{Context, Result, ensure};
use cairn_testkit::chaos::{Extent, Plan, run};
use cairn_testkit::world::World;

fn survives(seed: u64) -> Result<()> {
    let mut world = World::new()?;
    let plan = Plan {
        seed,
        extent: Extent::Kills(8),
        longest_life_ms: 1_500,
    };
    let report = run(&mut world, plan).with_context(|| format!("seed {seed}"))?;
    ensure!(
        report.survived > 0 && report.puts_acknowledged > 0,
        "nobody did anything:\n{report}"
    );
    Ok(())
}

#[test]
fn nothing_is_lost_when_everything_is_killed() -> Result<()> {
    survives(20_261)
}
