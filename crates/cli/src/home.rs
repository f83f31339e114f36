//! Where things are on this machine, and the only reader of the environment.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cairn_client::profile::Profile;

use crate::error::{CliError, CliResult};
use crate::wiping;

/// The address that a server listens on when nothing else is said.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:8321";

/// A device's home: its profile, its state, its socket, its log. Two homes are two devices.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    path: PathBuf,
}

impl Home {
    /// `CAIRN_HOME`, else the platform's data folder for Cairn.
    pub(crate) fn find() -> CliResult<Self> {
        if let Some(path) = variable("CAIRN_HOME") {
            let path = PathBuf::from(path);
            let path = std::path::absolute(&path).map_err(|error| CliError::io("find", &path, error))?;
            return Ok(Self { path });
        }
        Ok(Self {
            path: user_data_folder()?.join("device"),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder, readable by its owner alone.
    pub(crate) fn make(&self) -> CliResult {
        if self.path.is_dir() {
            return Ok(());
        }
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&self.path)
            .map_err(|error| CliError::io("make", &self.path, error))
    }

    /// The socket of the daemon.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// Where the daemon in the background writes its log.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.path.join("daemon.log")
    }

    /// Who this device is.
    pub(crate) fn profile(&self) -> CliResult<Profile> {
        Profile::load(&self.path)?.ok_or_else(|| wiping::not_linked(&self.path))
    }
}

/// Where a server keeps its data when nothing else is said.
pub(crate) fn default_data_folder() -> CliResult<PathBuf> {
    Ok(user_data_folder()?.join("server"))
}

/// The folder that `cairn up` keeps in sync when nothing else is said.
pub(crate) fn default_synced_folder() -> CliResult<PathBuf> {
    Ok(user_home()?.join("Cairn"))
}

/// The name of the person on this machine, for the first account's address.
pub(crate) fn user_name() -> Option<String> {
    let name = variable("USER")
        .or_else(|| variable("LOGNAME"))?
        .into_string()
        .ok()?;
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    (is_plain && !name.is_empty()).then_some(name)
}

/// The name of this machine.
pub(crate) fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.trim().is_empty() {
        "this device".to_owned()
    } else {
        name
    }
}

/// What is to be logged.
pub(crate) fn log_filter() -> Option<String> {
    variable("CAIRN_LOG").and_then(|text| text.into_string().ok())
}

/// Whether the environment says where traces go. *Source:* OpenTelemetry, "OTLP Exporter Configuration".
pub(crate) fn has_otlp_endpoint() -> bool {
    let names = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    ];
    names.into_iter().any(|name| variable(name).is_some())
}

/// Whether the environment says what traces call this program.
pub(crate) fn has_otel_service_name() -> bool {
    variable("OTEL_SERVICE_NAME").is_some()
}

/// Whether colours are unwanted (no-color.org).
pub(crate) fn no_color() -> bool {
    variable("NO_COLOR").is_some()
}

/// The platform's folder for a program's data. *Source:* XDG Base Directory Specification 0.8.
fn user_data_folder() -> CliResult<PathBuf> {
    if cfg!(target_os = "macos") {
        return Ok(user_home()?.join("Library/Application Support/cairn"));
    }
    match variable("XDG_DATA_HOME").map(PathBuf::from) {
        // The specification: a relative path is invalid and to be ignored.
        Some(path) if path.is_absolute() => Ok(path.join("cairn")),
        _ => Ok(user_home()?.join(".local/share/cairn")),
    }
}

fn user_home() -> CliResult<PathBuf> {
    match variable("HOME").map(PathBuf::from) {
        Some(path) if path.is_absolute() => Ok(path),
        _ => Err(CliError::failed("the home folder is unknown")
            .next("set HOME, or CAIRN_HOME and the folders' options")),
    }
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
