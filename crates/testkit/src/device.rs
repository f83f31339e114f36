//! A device: a home, a folder, and the commands a user types on it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::binary;
use crate::process::{Finished, Process};
use crate::tree::Listing;

/// How long a command on small data may take, in a debug build on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One device of an account; any number of them live on one machine.
#[derive(Debug, Clone)]
pub struct Device {
    binary: PathBuf,
    dir: PathBuf,
    name: String,
    folder: PathBuf,
}

impl Device {
    /// A device that is not linked yet, with everything it keeps in `dir`; its folder exists and is empty.
    ///
    /// # Errors
    /// When the program is not built or the folders cannot be made.
    pub fn new(dir: &Path, name: &str) -> Result<Self> {
        let folder = dir.join("folder");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self {
            binary: binary::cairn()?,
            dir: dir.to_owned(),
            name: name.to_owned(),
            folder,
        })
    }

    /// The same with its synced folder elsewhere.
    #[must_use]
    pub fn with_folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// Its name, as in conflicted copies.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The synced folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in the synced folder.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.folder.join(below)
    }

    /// What `CAIRN_HOME` is.
    pub fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// Writes a file into the synced folder, with the folders above it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, below: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(below);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads a file of the synced folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read(&self, below: impl AsRef<Path>) -> Result<Vec<u8>> {
        let path = self.path(below);
        fs::read(&path).with_context(|| format!("{}: cannot read {}", self.name, path.display()))
    }

    /// What is in the synced folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn listing(&self) -> Result<Listing> {
        Listing::of(&self.folder)
    }

    /// Runs a command and waits for its end.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time; its exit code is the caller's to judge.
    pub fn run(&self, arguments: &[&str]) -> Result<Finished> {
        self.run_within(PATIENCE, arguments)
    }

    /// Runs a command that may take longer.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub fn run_within(&self, deadline: Duration, arguments: &[&str]) -> Result<Finished> {
        self.spawn(arguments)?.finish(deadline)
    }

    /// Starts a command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn<W: AsRef<OsStr>>(&self, arguments: &[W]) -> Result<Process> {
        let mut command = clean_command(&self.binary, &self.dir);
        command.env("CAIRN_HOME", self.home()).args(arguments);
        Process::spawn(command, &self.dir.join("logs"))
    }

    /// Links the device.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub fn login(&self, url: &str, email: &str, password: &str, more: &[&str]) -> Result<Finished> {
        let file = password_file(&self.dir, password)?;
        let file = file.to_string_lossy();
        let mut arguments = vec![
            "login",
            url,
            "--email",
            email,
            "--password-file",
            &file,
            "--device-name",
            &self.name,
        ];
        arguments.extend(more);
        self.run(&arguments)
    }

    /// Syncs once; exit code 0 is required.
    ///
    /// # Errors
    /// When it fails.
    pub fn sync_once(&self) -> Result<Finished> {
        self.sync_once_within(PATIENCE)
    }

    /// Syncs once where that may take longer.
    ///
    /// # Errors
    /// When it fails.
    pub fn sync_once_within(&self, deadline: Duration) -> Result<Finished> {
        self.try_sync_once(deadline)?.success()
    }

    /// Syncs once; the caller judges the exit code.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub fn try_sync_once(&self, deadline: Duration) -> Result<Finished> {
        self.spawn(&[OsStr::new("sync"), self.folder.as_os_str(), OsStr::new("--once")])?
            .finish(deadline)
    }

    /// Keeps the folder in sync in a process that the caller owns.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn daemon(&self) -> Result<Process> {
        self.spawn(&[OsStr::new("sync"), self.folder.as_os_str()])
    }

    /// `cairn start`: a daemon that outlives the command.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self) -> Result<Background> {
        let told = self
            .run(&["start", &self.folder.to_string_lossy(), "--json"])?
            .success()?;
        let said: serde_json::Value =
            serde_json::from_slice(&told.stdout).context("`start` printed no JSON")?;
        let pid = said["process"]
            .as_i64()
            .context("`start` did not say which process")?;
        Ok(Background(
            Pid::from_raw(pid.try_into()?).context("there is no process 0")?,
        ))
    }

    /// `cairn put`.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub fn put(&self, from: &Path, to: &str, deadline: Duration) -> Result<Finished> {
        self.run_within(deadline, &["put", &from.to_string_lossy(), to])
    }

    /// The bytes of a file on the server.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn cat(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.run(&["cat", path])?.success()?.stdout)
    }

    /// `cairn status --json`.
    ///
    /// # Errors
    /// When there is no daemon or its answer is no JSON.
    pub fn status(&self) -> Result<serde_json::Value> {
        let told = self.run(&["status", "--json"])?.success()?;
        serde_json::from_slice(&told.stdout).with_context(|| format!("the status is no JSON: {told}"))
    }

    /// What is left in the folder where downloads are put together, by path; replaced files that wait there for a second
    /// look are not left over.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn staged(&self) -> Result<Vec<String>> {
        let stage = self.folder.join(".cairn/stage");
        if !stage.exists() {
            return Ok(Vec::new());
        }
        let mut paths = Listing::of(&stage)?.paths();
        paths.retain(|path| !path.starts_with("kept-"));
        Ok(paths)
    }
}

/// A daemon that `cairn start` left in the background; it is killed when this is dropped.
#[derive(Debug)]
pub struct Background(Pid);

impl Background {
    /// Its process id, as `cairn start` said it.
    pub fn pid(&self) -> u32 {
        self.0.as_raw_nonzero().get().unsigned_abs()
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        test_kill_process(self.0).is_ok()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // There is no such process any more, unless the test failed.
        if self.is_running() {
            kill_process(self.0, Signal::KILL).ok();
        }
    }
}

/// The program with an environment in which nothing of the user's own is found.
pub(crate) fn clean_command(binary: &Path, home: &Path) -> Command {
    let mut command = Command::new(binary);
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CAIRN_") || name.starts_with("XDG_") || name.starts_with("RUST_LOG") {
            command.env_remove(&key);
        }
    }
    command
        .env("HOME", home)
        .env("NO_COLOR", "1")
        .env("RUST_BACKTRACE", "1");
    command
}

/// Writes a password where only a path is wanted.
///
/// # Errors
/// Those of the file system.
pub(crate) fn password_file(dir: &Path, password: &str) -> Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let name = blake3::hash(password.as_bytes()).to_hex();
    let path = dir.join(format!("password-{}", &name[..8]));
    fs::write(&path, format!("{password}\n"))?;
    Ok(path)
}
