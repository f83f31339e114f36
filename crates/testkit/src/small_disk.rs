//! A file system of a few megabytes, to be filled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A tmpfs; it is unmounted when this is dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at `path`, which is made.
    ///
    /// # Errors
    /// When this user may not mount: then a full disk cannot be tested, which is a failure and not a skip.
    pub fn mount(path: &Path, mebibytes: u32) -> Result<Self> {
        fs::create_dir_all(path)?;
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(path)
            .output()
            .context("cannot run `mount`, which the tests of a full disk need")?;
        if !output.status.success() {
            bail!(
                "the tests of a full disk mount a tmpfs, which this user may not do ({}): run them as root, or in \
                 `unshare --user --map-root-user --mount`",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(Self(path.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it `ro` or `rw`.
    ///
    /// # Errors
    /// When that is refused.
    pub fn remount(&self, mode: &str) -> Result<()> {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{mode}")])
            .arg(&self.0)
            .status()?;
        anyhow::ensure!(status.success(), "cannot remount {} as {mode}", self.0.display());
        Ok(())
    }

    /// Takes what is free but for `leave_bytes`, with one file that [`SmallDisk::free`] removes.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn fill(&self, leave_bytes: u64) -> Result<()> {
        let room = rustix::fs::statvfs(&self.0)?;
        let free = room.f_bavail * room.f_frsize;
        let count = free.saturating_sub(leave_bytes);
        fs::write(self.ballast(), vec![0; usize::try_from(count)?])?;
        Ok(())
    }

    /// Gives back what [`SmallDisk::fill`] took.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, since a process that is being dropped may still hold a file.
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}
