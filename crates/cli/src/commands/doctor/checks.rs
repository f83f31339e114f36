//! The checks, from the machine outwards.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cairn_client::control::{self, ControlError, Request};
use cairn_client::profile::Profile;
use cairn_client::remote::http;

use super::Finding;
use crate::App;
use crate::error::{CliError, CliResult, Exit};
use crate::session::{self, Session};
use crate::ui::format;

/// Less free space than this is worth a warning.
const LOW_SPACE_BYTES: u64 = 1 << 30;
/// A clock that is off by more makes tokens and histories confusing. The server tells when it last heard of a device to
/// the hour.
const SKEW_MS: i64 = 2 * 3_600_000;
/// Where Linux says how many folders a user may watch.
const WATCHES: &str = "/proc/sys/fs/inotify/max_user_watches";

/// Runs every check that makes sense after those before it.
pub(super) async fn all(app: &App) -> Vec<Finding> {
    let mut findings = vec![finding("home", home(app))];
    let profile = match app.home.profile() {
        Ok(profile) => profile,
        Err(error) => {
            findings.push(Finding::fail("profile", &error));
            return findings;
        }
    };
    let linked = format!("\"{}\" is linked as {}", profile.device_name, profile.email);
    findings.push(Finding::ok("profile", linked));
    findings.extend(server(app, &profile).await);
    findings.push(finding("state", state(app)));
    findings.push(daemon(app).await);
    if let Some(folder) = profile.folder.clone() {
        findings.push(finding("folder", marker(&folder)));
        findings.push(watches(app, folder.clone()).await);
        findings.push(finding("space", space(&folder)));
    }
    findings
}

/// A failed check is an error like any other.
fn finding(check: &'static str, result: CliResult<Finding>) -> Finding {
    result.unwrap_or_else(|error| Finding::fail(check, &error))
}

fn home(app: &App) -> CliResult<Finding> {
    let path = app.home.path();
    if !path.exists() {
        return Ok(Finding::ok(
            "home",
            format!("{} is made when it is needed", path.display()),
        ));
    }
    let metadata = std::fs::metadata(path).map_err(|error| CliError::io("read", path, error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        let step = format!("run \"chmod 700 {}\"", path.display());
        return Ok(Finding::warn(
            "home",
            format!("{} is open to other users", path.display()),
            step,
        ));
    }
    Ok(Finding::ok("home", path.display().to_string()))
}

/// The server, the certificate, the token and the clock, in the order in which they are needed.
async fn server(app: &App, profile: &Profile) -> Vec<Finding> {
    let trust = match session::trust(profile) {
        Ok(trust) => trust,
        Err(error) => return vec![Finding::fail("certificate", &error)],
    };
    let mut findings = Vec::new();
    match http::hello(&profile.server, trust).await {
        Ok(hello) => {
            findings.push(Finding::ok(
                "server",
                format!("{} runs version {}", profile.server, hello.version),
            ));
            let how = match (
                &profile.certificate_fingerprint,
                profile.server.starts_with("https"),
            ) {
                (Some(_), _) => "is the one that was confirmed",
                (None, true) => "is vouched for by an authority",
                (None, false) => "is not needed on this machine",
            };
            findings.push(Finding::ok("certificate", how));
        }
        Err(error) => return vec![Finding::fail("server", &error.into())],
    }
    let session = match Session::of(app, profile.clone()) {
        Ok(session) => session,
        Err(error) => return vec![Finding::fail("token", &error)],
    };
    match session.remote.devices().await {
        Ok(devices) => {
            findings.push(Finding::ok("token", "is valid"));
            let this = devices.devices.iter().find(|device| device.id == profile.device);
            findings.extend(this.map(|device| clock(app, device.last_seen_at.as_millis())));
        }
        Err(error) => findings.push(Finding::fail("token", &error.into())),
    }
    findings
}

fn clock(app: &App, last_seen_ms: i64) -> Finding {
    let skew_ms = app.runtime.clock.now().as_millis() - last_seen_ms;
    if skew_ms.abs() <= SKEW_MS {
        return Finding::ok("clock", "agrees with the server's");
    }
    let off = std::time::Duration::from_millis(skew_ms.unsigned_abs());
    let side = if skew_ms > 0 { "ahead of" } else { "behind" };
    Finding::warn(
        "clock",
        format!(
            "this machine is about {} {side} the server",
            format::duration(off)
        ),
        "set both clocks, by NTP for instance",
    )
}

fn state(app: &App) -> CliResult<Finding> {
    let path = app.home.path().join("state.db");
    let mut header = [0; 16];
    let read =
        std::fs::File::open(&path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut header));
    match read {
        Ok(()) if header.starts_with(b"SQLite format 3\0") => {
            let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            Ok(Finding::ok(
                "state",
                format!("{}, {}", path.display(), format::bytes(size)),
            ))
        }
        Ok(()) => Ok(Finding::warn(
            "state",
            format!("{} is damaged", path.display()),
            "nothing is lost: the next start builds it anew from disk and server",
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Finding::ok("state", "nothing was synced yet"))
        }
        Err(error) => Err(CliError::io("read", &path, error)),
    }
}

async fn daemon(app: &App) -> Finding {
    match control::ask(&app.home.control_socket(), &Request::Status).await {
        Ok(_) => Finding::ok("daemon", "runs"),
        Err(ControlError::NotRunning { .. }) => {
            Finding::warn("daemon", "does not run", "begin with \"cairn start DIR\"")
        }
        Err(error) => Finding::fail("daemon", &error.into()),
    }
}

fn marker(folder: &Path) -> CliResult<Finding> {
    let marker = folder.join(".cairn").join("root");
    if !folder.is_dir() {
        return Err(
            CliError::failed(format!("the synced folder {} is not there", folder.display()))
                .next("mount it or put it back; nothing is deleted on the server meanwhile"),
        );
    }
    if !marker.exists() {
        return Err(CliError::failed(format!(
            "{} is not the folder that was synced: {} is missing",
            folder.display(),
            marker.display()
        ))
        .next("put the right folder there; nothing is deleted on the server meanwhile"));
    }
    Ok(Finding::ok("folder", folder.display().to_string()))
}

/// Compares the folders to watch with what the system allows.
async fn watches(app: &App, folder: PathBuf) -> Finding {
    let Some(allowed) = std::fs::read_to_string(WATCHES)
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok())
    else {
        return Finding::ok("watches", "are not counted on this system");
    };
    let needed = app
        .runtime
        .blocking(move || count_folders(&folder, allowed))
        .await;
    if needed < allowed {
        return Finding::ok("watches", format!("{needed} of {allowed} are needed"));
    }
    Finding::warn(
        "watches",
        format!("more than the {allowed} folders that the system allows to be watched"),
        "raise fs.inotify.max_user_watches with sysctl; until then changes there are seen late",
    )
}

/// Counts folders up to a bound, links not followed.
fn count_folders(root: &Path, most: u64) -> u64 {
    let mut count = 0;
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        count += 1;
        if count >= most {
            break;
        }
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        let folders = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        open.extend(folders.map(|entry| entry.path()));
    }
    count
}

fn space(folder: &Path) -> CliResult<Finding> {
    let vfs = rustix::fs::statvfs(folder).map_err(|error| CliError::io("measure", folder, error.into()))?;
    let free = vfs.f_bavail.saturating_mul(vfs.f_frsize);
    let text = format!("{} free", format::bytes(free));
    match free {
        0 => Err(
            CliError::new(Exit::Failed, format!("no space is left for {}", folder.display()))
                .next("make room; syncing goes on by itself then"),
        ),
        1..LOW_SPACE_BYTES => Ok(Finding::warn("space", text, "make room before the disk is full")),
        _ => Ok(Finding::ok("space", text)),
    }
}
