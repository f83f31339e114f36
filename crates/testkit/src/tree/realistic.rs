//! Trees as people have them.

use std::fs::{self, File, FileTimes, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::random::Random;

/// What a tree is to hold.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Decides everything.
    pub seed: u64,
    /// Files.
    pub files: usize,
    /// The mean length of a file in bytes; most are much shorter, some much longer.
    pub mean_bytes: u64,
}

/// Makes a tree below `root`: folders in folders, short and long files that compress well or not at all, links, programs,
/// empty files and folders, and modification times from before 1970 to after 2100 with every nanosecond.
///
/// # Errors
/// Those of the file system.
pub fn realistic(root: &Path, shape: Shape) -> Result<()> {
    let mut random = Random::new(shape.seed);
    let folders = folders(root, &mut random, shape.files / 12 + 3)?;
    for number in 0..shape.files {
        let folder = random.pick(&folders).context("a tree has a folder")?.clone();
        let path = folder.join(format!(
            "file {number}.{}",
            ["txt", "jpg", "rs", "pdf"][number % 4]
        ));
        let length = length(&mut random, shape.mean_bytes);
        let content = content(&mut random, length);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        if random.below(8) == 0 {
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        }
        set_mtime(&path, any_time(&mut random))?;
        if random.below(20) == 0 {
            symlink(
                format!("file {number}.txt"),
                folder.join(format!("link {number}")),
            )?;
        }
    }
    oddities(root)
}

fn folders(root: &Path, random: &mut Random, count: usize) -> Result<Vec<PathBuf>> {
    let mut folders = vec![root.to_owned()];
    for number in 0..count {
        let parent = random.pick(&folders).context("there is the root")?;
        folders.push(parent.join(format!("folder {number}")));
    }
    for folder in &folders {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    Ok(folders)
}

/// What a random tree may lack: one of each.
fn oddities(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("empty/inside"))?;
    fs::write(root.join("empty file"), "")?;
    let deep: PathBuf = std::iter::repeat_n("deep", 60).collect();
    fs::create_dir_all(root.join(&deep))?;
    fs::write(root.join(&deep).join("bottom"), "here")?;
    symlink("nowhere at all", root.join("dangling link"))?;
    symlink("/etc/hostname", root.join("link to outside"))?;
    symlink("empty", root.join("link to folder"))?;
    let old = root.join("from before 1970");
    fs::write(&old, "old")?;
    set_mtime(&old, SystemTime::UNIX_EPOCH - Duration::new(1_234, 567_000_001))?;
    Ok(())
}

fn length(random: &mut Random, mean_bytes: u64) -> u64 {
    match random.below(10) {
        0 => 0,
        1..=7 => random.below(mean_bytes.max(2)),
        8 => random.below(mean_bytes * 4 + 1),
        _ => mean_bytes * 2 + random.below(mean_bytes * 4 + 1),
    }
}

fn content(random: &mut Random, length: u64) -> Vec<u8> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if random.below(2) == 0 {
        return random.bytes(length);
    }
    let line = format!("line of a text that compresses well {}\n", random.next());
    line.bytes().cycle().take(length).collect()
}

/// From 1960 to 2105, with nanoseconds.
fn any_time(random: &mut Random) -> SystemTime {
    let start = SystemTime::UNIX_EPOCH - Duration::from_secs(10 * 365 * 86_400);
    start
        + Duration::new(
            random.below(145 * 365 * 86_400),
            random.below(1_000_000_000) as u32,
        )
}

/// Sets the modification time of a file.
fn set_mtime(path: &Path, time: SystemTime) -> Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_times(FileTimes::new().set_modified(time))
        .with_context(|| format!("cannot set the time of {}", path.display()))
}

/// Writes a file of `length` bytes that do not compress, a mebibyte at a time.
///
/// # Errors
/// Those of the file system.
pub fn long_file(path: &Path, seed: u64, length: u64) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut stream = Random::new(seed).stream();
    let mut piece = vec![0; 1 << 20];
    let mut left = length;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        stream.fill(&mut piece[..count]);
        file.write_all(&piece[..count])?;
        left -= count as u64;
    }
    Ok(())
}
