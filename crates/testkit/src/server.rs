//! A server in a process of its own.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{Finished, Process};
use crate::{binary, device};

/// How long a server may take until it answers, also when it recovers from a kill.
const READY: Duration = Duration::from_secs(60);
/// How long a server may take to stop when it is asked to.
const STOP: Duration = Duration::from_secs(30);

/// A data folder, and the server on it while it runs.
#[derive(Debug)]
pub struct Server {
    binary: PathBuf,
    data: PathBuf,
    logs: PathBuf,
    options: Vec<String>,
    address: Option<SocketAddr>,
    url: String,
    process: Option<Process>,
}

impl Server {
    /// A server that is not started yet, on a data folder in `dir`.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn new(dir: &Path) -> Result<Self> {
        Ok(Self {
            binary: binary::cairn()?,
            data: dir.join("data"),
            logs: dir.join("logs"),
            options: Vec::new(),
            address: None,
            url: String::new(),
            process: None,
        })
    }

    /// The same with its data elsewhere.
    #[must_use]
    pub fn with_data(mut self, data: &Path) -> Self {
        data.clone_into(&mut self.data);
        self
    }

    /// The same with more options of `cairn serve`.
    #[must_use]
    pub fn with_options(mut self, options: &[&str]) -> Self {
        self.options
            .extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// Where its data is.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where it listens, once it was started.
    ///
    /// # Errors
    /// When it was never started.
    pub fn address(&self) -> Result<SocketAddr> {
        self.address.context("the server was never started")
    }

    /// The process it runs in.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("the server does not run")?.pid())
    }

    /// What a device is told at `cairn login`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs `cairn admin ... --data DIR` on its data.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub fn admin(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = self.command("admin");
        command.args(arguments).arg("--data").arg(&self.data);
        Process::spawn(command, &self.logs)?.finish(device::PATIENCE)
    }

    /// Makes an account.
    ///
    /// # Errors
    /// When it is refused.
    pub fn add_account(&self, email: &str, password: &str) -> Result<()> {
        let file = device::password_file(&self.logs, password)?;
        let file = file.to_string_lossy();
        self.admin(&["user", "add", email, "--password-file", &file])?
            .success()?;
        Ok(())
    }

    /// Starts it on a free port, or on the one it had before, and waits until it says that it listens.
    ///
    /// # Errors
    /// When it ends or says nothing in time.
    pub fn start(&mut self) -> Result<()> {
        let address = self
            .address
            .unwrap_or_else(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
        let mut command = self.command("serve");
        command
            .arg("--data")
            .arg(&self.data)
            .args(["--listen", &address.to_string()])
            .args(&self.options);
        let mut process = Process::spawn(command, &self.logs)?;
        self.url = process.output_has(READY, "its address", url_in)?;
        self.address = Some(address_in(&self.url)?);
        self.process = Some(process);
        Ok(())
    }

    /// Runs `cairn serve` where it is expected to fail by itself.
    ///
    /// # Errors
    /// When it goes on running.
    pub fn start_and_fail(&self) -> Result<Finished> {
        let mut command = self.command("serve");
        command
            .arg("--data")
            .arg(&self.data)
            .args(["--listen", "127.0.0.1:0"])
            .args(&self.options);
        Process::spawn(command, &self.logs)?.finish(device::PATIENCE)
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// When it was not running.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("the server does not run")?.kill()
    }

    /// Stops it as Ctrl-C does; its exit code must be 0.
    ///
    /// # Errors
    /// When it does not stop, or with another code.
    pub fn stop(&mut self) -> Result<()> {
        let process = self.process.take().context("the server does not run")?;
        process.interrupt(STOP)?.success()?;
        Ok(())
    }

    /// The running process.
    ///
    /// # Errors
    /// When it was not started.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the server does not run")
    }

    /// The files of its data folder with this ending, sorted.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn files_with_ending(&self, ending: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.data.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_string_lossy().ends_with(ending) {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = device::clean_command(&self.binary, &self.logs);
        command.arg(verb);
        command
    }
}

/// The first address of a server in a line of output.
pub fn url_in(line: &str) -> Option<String> {
    let start = line
        .find("http://127.0.0.1:")
        .or_else(|| line.find("https://127.0.0.1:"))?;
    let url: String = line[start..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.'))
        .collect();
    Some(url.trim_end_matches(['/', '.']).to_owned())
}

fn address_in(url: &str) -> Result<SocketAddr> {
    let Some((_, rest)) = url.split_once("://") else {
        bail!("{url} is no address")
    };
    rest.parse().with_context(|| format!("{url} has no port"))
}
