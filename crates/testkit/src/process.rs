//! Programs that a test started: their output, their end, their memory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::{Observed, Stopwatch, eventually};

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The command, for messages.
    pub label: String,
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// How long it ran.
    pub elapsed: Duration,
    /// The most memory it ever had, as far as it was seen.
    pub peak_rss_bytes: u64,
    /// What it had the disk write, as far as it was seen.
    pub written_bytes: u64,
}

impl Finished {
    /// Itself, when the exit code is 0.
    ///
    /// # Errors
    /// Any other end, with the output.
    pub fn success(self) -> Result<Self> {
        self.exits(0)
    }

    /// Itself, when the exit code is the expected one.
    ///
    /// # Errors
    /// Any other end, with the output.
    pub fn exits(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "expected exit code {code}: {self}");
        Ok(self)
    }

    /// Itself, when the exit code is the expected one and standard error holds all of the words, in any case.
    ///
    /// # Errors
    /// Any other end, with the output.
    pub fn refuses(self, code: i32, words: &[&str]) -> Result<Self> {
        let told = self.exits(code)?;
        let text = told.stderr.to_lowercase();
        for word in words {
            ensure!(
                text.contains(&word.to_lowercase()),
                "the message does not say {word:?}: {told}"
            );
        }
        ensure!(!text.contains("panicked"), "it panicked: {told}");
        Ok(told)
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = self
            .code
            .map_or_else(|| "by a signal".to_owned(), |code| format!("with {code}"));
        write!(
            f,
            "`{}` ended {end} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.label,
            self.elapsed,
            tail(&self.text()),
            tail(&self.stderr)
        )
    }
}

/// The end of a text: what a person reads first.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// A running program. It is killed when this is dropped, also when a test panics.
///
/// It stays in the test's process group, so that whoever ends the test's group ends it too.
#[derive(Debug)]
pub struct Process {
    child: Child,
    label: String,
    stdout: PathBuf,
    stderr: PathBuf,
    started: Stopwatch,
    peak_rss_bytes: u64,
    written_bytes: u64,
}

/// Tells apart the logs of programs that run in one folder.
static SPAWNED: AtomicU64 = AtomicU64::new(0);

impl Process {
    /// Starts `command` with its output going to files in `logs`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(mut command: Command, logs: &Path) -> Result<Self> {
        fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let number = SPAWNED.fetch_add(1, Ordering::Relaxed);
        let label = label(&command);
        let stdout = logs.join(format!("{number:05}.out"));
        let stderr = logs.join(format!("{number:05}.err"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .spawn()
            .with_context(|| format!("cannot start `{label}`"))?;
        Ok(Self {
            child,
            label,
            stdout,
            stderr,
            started: Stopwatch::start(),
            peak_rss_bytes: 0,
            written_bytes: 0,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Both streams up to now.
    pub fn output(&self) -> String {
        let read = |path| fs::read(path).unwrap_or_default();
        let mut bytes = read(&self.stdout);
        bytes.extend(read(&self.stderr));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The most memory that it ever had resident, as the kernel counts it (`VmHWM`).
    pub fn peak_rss_bytes(&mut self) -> u64 {
        let seen = peak_rss_bytes(self.pid()).unwrap_or(0);
        self.peak_rss_bytes = self.peak_rss_bytes.max(seen);
        self.peak_rss_bytes
    }

    /// What it has had the disk write (`write_bytes`): more than files grow by when pages of them are written again.
    pub fn written_bytes(&mut self) -> u64 {
        let seen = written_bytes(self.pid()).unwrap_or(0);
        self.written_bytes = self.written_bytes.max(seen);
        self.written_bytes
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end before the deadline; then it is killed.
    pub fn finish(mut self, deadline: Duration) -> Result<Finished> {
        let label = self.label.clone();
        let waited = eventually(deadline, &format!("`{label}` ends"), || {
            self.peak_rss_bytes();
            self.written_bytes();
            Ok(match self.child.try_wait()? {
                Some(status) => Observed::Done(status),
                None => Observed::NotYet(tail(&self.output())),
            })
        });
        let status = waited?;
        Ok(self.finished(status))
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("cannot wait for `{}`", self.label))
    }

    /// Waits until a line of its output satisfies `find`, and returns what it found there.
    ///
    /// # Errors
    /// When the program ends first or the deadline passes; with its output.
    pub fn output_has<T>(
        &mut self,
        deadline: Duration,
        what: &str,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        eventually(deadline, &format!("`{}` prints {what}", self.label), || {
            // Looked at before the output, so that the last words of a program that ended are read.
            let ended = self.child.try_wait()?;
            let output = self.output();
            if let Some(found) = output.lines().find_map(&find) {
                return Ok(Observed::Done(found));
            }
            if let Some(status) = ended {
                bail!(
                    "`{}` ended ({status}) before it printed {what}:\n{}",
                    self.label,
                    tail(&output)
                );
            }
            Ok(Observed::NotYet(tail(&output)))
        })
    }

    /// Ends it as a power cut would, and waits until it is gone.
    ///
    /// # Errors
    /// When it had ended by itself already: then whoever kills it is not testing what they think.
    pub fn kill(mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!(
                "`{}` had ended by itself ({status}):\n{}",
                self.label,
                tail(&self.output())
            );
        }
        self.child.kill()?;
        let status = self.child.wait()?;
        ensure!(status.signal() == Some(9), "`{}` ended with {status}", self.label);
        Ok(())
    }

    /// Asks it to stop, as Ctrl-C does, and waits for its end.
    ///
    /// # Errors
    /// When it does not end before the deadline.
    pub fn interrupt(self, deadline: Duration) -> Result<Finished> {
        self.signal(Signal::INT)?;
        self.finish(deadline)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).with_context(|| format!("cannot signal `{}`", self.label))
    }

    fn finished(&self, status: ExitStatus) -> Finished {
        Finished {
            label: self.label.clone(),
            code: status.code(),
            stdout: fs::read(&self.stdout).unwrap_or_default(),
            stderr: String::from_utf8_lossy(&fs::read(&self.stderr).unwrap_or_default()).into_owned(),
            elapsed: self.started.elapsed(),
            peak_rss_bytes: self.peak_rss_bytes,
            written_bytes: self.written_bytes,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

fn label(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words: Vec<String> = std::iter::once(name)
        .chain(command.get_args())
        .map(|word| OsStr::to_string_lossy(word).into_owned())
        .collect();
    words.join(" ")
}

/// `VmHWM` of a process, in bytes; `None` when it is gone.
pub fn peak_rss_bytes(pid: u32) -> Option<u64> {
    of_status(pid, "VmHWM:")
}

/// `VmRSS` of a process, in bytes: what it holds now; `None` when it is gone.
pub fn rss_bytes(pid: u32) -> Option<u64> {
    of_status(pid, "VmRSS:")
}

/// Time on processors of a process and all its threads, to 10 ms; `None` when it is gone.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    /// Milliseconds of a tick, as Linux counts for programs (`USER_HZ`).
    const TICK_MS: u64 = 10;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything. Behind it the 12th and 13th words are user and system time.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: Vec<u64> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .map_while(|word| word.parse().ok())
        .collect();
    (ticks.len() == 2).then(|| Duration::from_millis(ticks.iter().sum::<u64>() * TICK_MS))
}

/// `write_bytes` of a process; `None` when it is gone, or the system counts none.
fn written_bytes(pid: u32) -> Option<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?;
    line.parse().ok()
}

fn of_status(pid: u32, key: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
