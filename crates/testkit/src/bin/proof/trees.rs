//! Two devices, one tree: equal to the last bit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cairn_testkit::device::Device;
use cairn_testkit::tree::{assert_same, awkward_names, long_file};
use cairn_testkit::world::World;

use crate::table::{Table, mebibytes, rate, say, seconds};

const PATIENCE: Duration = Duration::from_secs(1_800);

/// The sources of all crates that cargo has unpacked here.
pub(crate) fn crates(dir: &Path) -> Result<Table> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let sources = home.context("there is no home folder")?.join("registry/src");
    ensure!(
        sources.is_dir(),
        "{} does not exist: build the project first",
        sources.display()
    );
    let mut table = Table::new("crates");
    two_devices(&mut table, dir, |ada| {
        let status = Command::new("cp")
            .arg("-a")
            .arg(sources)
            .arg(ada.folder())
            .status()?;
        ensure!(status.success(), "cp failed");
        Ok(())
    })?;
    Ok(table)
}

/// Names that break programs.
pub(crate) fn awkward(dir: &Path) -> Result<Table> {
    let mut table = Table::new("awkward");
    two_devices(&mut table, dir, |ada| {
        for (index, name) in awkward_names(1_000).into_iter().enumerate() {
            ada.write(name, format!("content of {index}"))?;
        }
        Ok(())
    })?;
    Ok(table)
}

/// One file of 2 GiB.
pub(crate) fn big(dir: &Path) -> Result<Table> {
    let mut table = Table::new("big-2g");
    two_devices(&mut table, dir, |ada| {
        long_file(&ada.path("two gibibytes"), 2, 2 << 30)
    })?;
    Ok(table)
}

fn two_devices(table: &mut Table, dir: &Path, fill: impl FnOnce(&Device) -> Result<()>) -> Result<()> {
    let mut world = World::in_dir(dir)?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    fill(&ada)?;
    say("listing");
    let before = ada.listing()?;
    let (files, bytes) = before.files();
    table.row("files", files);
    table.row("folders and links", before.len() - files);
    table.row("bytes", mebibytes(bytes));
    say("syncing the first device");
    let up = ada.sync_once_within(PATIENCE)?;
    table.row("first device", rate(up.elapsed, bytes));
    say("syncing the second device");
    let down = bob.sync_once_within(PATIENCE)?;
    table.row("second device", rate(down.elapsed, bytes));
    let again = ada.sync_once_within(PATIENCE)?;
    table.row("nothing to do", seconds(again.elapsed));
    table.row("memory of the first device", mebibytes(up.peak_rss_bytes));
    table.row("memory of the second device", mebibytes(down.peak_rss_bytes));
    table.row(
        "memory of the server",
        mebibytes(world.server.process()?.peak_rss_bytes()),
    );
    say("comparing");
    let after = assert_same(&ada, &bob)?;
    before
        .same_as(&after)
        .context("the first device's folder was changed")?;
    table.must("trees are identical", format!("{} paths", after.len()), true);
    world.server.stop()?;
    fs::remove_dir_all(world.dir())?;
    Ok(())
}
