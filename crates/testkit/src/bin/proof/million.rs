//! What a very large folder costs one device: memory, disk, and the time of a scan that finds nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cairn_testkit::deadline::{Observed, Stopwatch, eventually};
use cairn_testkit::device::Device;
use cairn_testkit::process::{Finished, rss_bytes};
use cairn_testkit::random::Random;
use cairn_testkit::world::World;

use crate::table::{Table, mebibytes, say, seconds};

/// The folders are a tree of two levels, with files in the lower ones.
const FOLDERS_PER_FOLDER: u64 = 100;
const LONGEST_FILE: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(7_200);
/// What a device may take for a million files.
const MEMORY_BYTES: u64 = 100 << 20;
/// About 300 for a file in sync with a name of a dozen bytes and one chunk.
const STATE_BYTES_PER_FILE: u64 = 320;

pub(crate) fn run(dir: &Path, files: u64, per_folder: u64) -> Result<Table> {
    let mut table = Table::new("million");
    let mut world = World::in_dir(dir)?;
    let device = world.device("ada")?;
    say("making the files");
    fill(&device, files, per_folder)?;
    let nodes = walk(device.folder())?;
    table.row("files and folders", nodes.count);
    say("first sync: everything is read and sent");
    let first = device.sync_once_within(PATIENCE)?;
    table.row(
        "first sync",
        format!(
            "{}, {:.0} files/s",
            seconds(first.elapsed),
            per_second(files, &first)
        ),
    );
    row_of_memory(&mut table, "peak memory, first sync", first.peak_rss_bytes, files);
    table.row(
        "written to disk in the first sync, by the device and by the server",
        format!(
            "{}, {}",
            mebibytes(first.written_bytes),
            mebibytes(world.server.process()?.written_bytes())
        ),
    );
    let (state, per_node) = state_bytes(&device, nodes.count)?;
    table.row(
        "state on disk after it, not yet packed",
        format!("{}, {per_node} B a file or folder", mebibytes(state)),
    );
    // The second walk finds the system's caches as the scan does.
    let floor = walk(device.folder())?.time;
    say("a sync that finds nothing");
    let nothing = device.sync_once_within(PATIENCE)?;
    let ratio = nothing.elapsed.as_secs_f64() / floor.as_secs_f64();
    table.row(
        "listing the folder and looking at each file, nothing else",
        seconds(floor),
    );
    table.row(
        "a whole sync that finds nothing",
        format!("{}, {ratio:.1} times the listing", seconds(nothing.elapsed)),
    );
    row_of_memory(
        &mut table,
        "peak memory, nothing to do",
        nothing.peak_rss_bytes,
        files,
    );
    // The run before was the first to find the state that large, and packed it.
    let (state, per_node) = state_bytes(&device, nodes.count)?;
    table.must(
        "state on disk",
        format!("{}, {per_node} B a file or folder", mebibytes(state)),
        per_node <= STATE_BYTES_PER_FILE,
    );
    daemon(&mut table, &device, files)?;
    table.row(
        "peak memory of the server",
        mebibytes(world.server.process()?.peak_rss_bytes()),
    );
    world.server.stop()?;
    // It takes longer than what was measured: who has seen enough may stop it here.
    say(&format!("{table}\nremoving the files"));
    fs::remove_dir_all(world.dir())?;
    Ok(table)
}

/// Starts a daemon again and lets it rest.
fn daemon(table: &mut Table, device: &Device, files: u64) -> Result<()> {
    say("a daemon starts again");
    let since = Stopwatch::start();
    let mut daemon = device.daemon()?;
    // Opening a large state takes a while; until then nobody answers.
    eventually(PATIENCE, "the daemon is in sync", || {
        let told = device.run_within(PATIENCE, &["wait", "--timeout", "7200"])?;
        Ok(Observed::when(told.code == Some(0), || told.to_string()))
    })?;
    table.row("daemon, from its start until in sync", seconds(since.elapsed()));
    let at_rest = rss_bytes(daemon.pid()).context("the daemon is gone")?;
    row_of_memory(table, "memory of the daemon at rest", at_rest, files);
    row_of_memory(table, "peak memory of the daemon", daemon.peak_rss_bytes(), files);
    let since = Stopwatch::start();
    device.write("one more file", "small")?;
    device
        .run_within(PATIENCE, &["wait", "--timeout", "7200"])?
        .success()?;
    table.row(
        "one more file, until the daemon has looked at everything",
        seconds(since.elapsed()),
    );
    daemon.interrupt(PATIENCE)?.success()?;
    Ok(())
}

/// The aim is for a million files; fewer take less.
fn row_of_memory(table: &mut Table, name: &str, bytes: u64, files: u64) {
    let is_full_size = files >= 1_000_000;
    if is_full_size {
        table.must(name, mebibytes(bytes), bytes <= MEMORY_BYTES);
    } else {
        table.row(name, mebibytes(bytes));
    }
}

fn per_second(files: u64, finished: &Finished) -> f64 {
    files as f64 / finished.elapsed.as_secs_f64()
}

fn fill(device: &Device, files: u64, per_folder: u64) -> Result<()> {
    let mut random = Random::new(1_000_000);
    for number in 0..files.div_ceil(per_folder) {
        let first = number * per_folder;
        let folder = device.path(format!("group {}/folder {number}", number / FOLDERS_PER_FOLDER));
        fs::create_dir_all(&folder)?;
        for file in first..files.min(first + per_folder) {
            let length = 1 + random.below(LONGEST_FILE) as usize;
            fs::write(folder.join(format!("file {file}.txt")), random.bytes(length))?;
        }
    }
    Ok(())
}

/// What the state of a device takes on disk, its journal included, in all and for each node.
fn state_bytes(device: &Device, nodes: u64) -> Result<(u64, u64)> {
    let mut bytes = 0;
    for entry in fs::read_dir(device.home())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("state.db") {
            bytes += entry.metadata()?.len();
        }
    }
    ensure!(bytes > 0, "the device has no state.db in its home");
    Ok((bytes, bytes / nodes.max(1)))
}

struct Walked {
    count: u64,
    time: Duration,
}

/// Lists every folder and looks at every name: the least that any scan must do.
fn walk(root: &Path) -> Result<Walked> {
    let since = Stopwatch::start();
    let mut count = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            count += 1;
            if entry.metadata()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(Walked {
        count,
        time: since.elapsed(),
    })
}
