//! A device that was unlinked from another one deletes what it keeps: its folder, its state, its token.
//!
//! What is to be done is written down before anything is deleted, so that a crash at any line, or a start without the
//! network, goes on with it. The server is told when nothing is left but the token, which goes last.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_api::error::ErrorCode;
use cairn_api::sync::Wiped;
use cairn_core::runtime::Runtime;
use serde::{Deserialize, Serialize};

use crate::daemon::{Daemon, DaemonConfig, DaemonError};
use crate::fs::os::OsFilesystem;
use crate::fs::{Filesystem, FsError};
use crate::lock::{FolderLock, LockError};
use crate::profile::{Profile, ProfileError, remove_private, write_private};
use crate::remote::{Remote, RemoteError};
use crate::retry::Backoff;

const ORDER_FILE: &str = "wipe.json";
const NOTE_FILE: &str = "wiped.json";
/// Files of a device's home that begin so are what it keeps of an account: its state, and logs, which name files.
const KEPT: [&str; 2] = ["state.db", "daemon.log"];

/// Why a device cannot delete what it keeps, for now.
#[derive(Debug, thiserror::Error)]
pub enum WipeError {
    /// The folder or the state.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// Another process works on the device's home.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A file of the device's home.
    #[error("cannot {action} {}", path.display())]
    Home {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What came of the folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipeReport {
    /// Files and links that were removed and that the server has as they were.
    pub removed: u64,
    /// Files and links that the server did not have as they were.
    pub unsent: u64,
    /// Whether files are left in the folder.
    pub is_kept: bool,
}

/// What is to be done, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipeOrder {
    /// Whether also what the server does not have is deleted.
    pub everything: bool,
    /// Once the folder is done.
    done: Option<Done>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    report: WipeReport,
    /// The marker by which the folder is known, until what is ours in it is removed.
    marker: Option<String>,
}

/// What is left of a device that was wiped: what people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipedNote {
    /// The server that it was linked to.
    pub server: String,
    /// When it was done, in milliseconds since 1970.
    pub at_ms: i64,
    /// What came of the folder.
    pub report: WipeReport,
    /// The folder, where files are left in it.
    pub folder: Option<PathBuf>,
}

impl WipeOrder {
    /// Writes down that a device is to be wiped, unless that is written down already.
    ///
    /// # Errors
    /// [`WipeError::Home`].
    pub fn begin(home: &Path, everything: bool) -> Result<(), WipeError> {
        match Self::load(home)? {
            Some(order) if order.everything || !everything => Ok(()),
            _ => write(
                home,
                ORDER_FILE,
                &Self {
                    everything,
                    done: None,
                },
            ),
        }
    }

    /// What was begun in a device's home, if anything was.
    ///
    /// # Errors
    /// [`WipeError::Home`].
    pub fn load(home: &Path) -> Result<Option<Self>, WipeError> {
        read(home, ORDER_FILE)
    }
}

impl WipedNote {
    /// What happened to the device whose home this is, if it was wiped.
    ///
    /// # Errors
    /// [`WipeError::Home`].
    pub fn load(home: &Path) -> Result<Option<Self>, WipeError> {
        read(home, NOTE_FILE)
    }
}

/// Forgets what was begun or done: the device is linked anew.
///
/// # Errors
/// [`WipeError::Home`].
pub fn forget(home: &Path) -> Result<(), WipeError> {
    for name in [ORDER_FILE, NOTE_FILE] {
        remove_private(home, name).map_err(|source| failed("remove", home.join(name), source))?;
    }
    Ok(())
}

/// Does what [`WipeOrder::begin`] has written down, from wherever it stands. Tells the server until it has heard it: dropping
/// the future is as a crash.
///
/// # Errors
/// [`WipeError`]; the next call goes on.
pub async fn carry_out(
    home: &Path,
    profile: &Profile,
    remote: Arc<dyn Remote>,
    runtime: &Runtime,
) -> Result<WipedNote, WipeError> {
    let order = WipeOrder::load(home)?.unwrap_or(WipeOrder {
        everything: false,
        done: None,
    });
    let done = match order.done.clone() {
        Some(done) => done,
        None => {
            let done = match &profile.folder {
                Some(folder) => {
                    Box::pin(wipe_folder(home, profile, folder, order.everything, runtime)).await?
                }
                None => nothing(),
            };
            let done_now = WipeOrder {
                done: Some(done.clone()),
                ..order
            };
            write(home, ORDER_FILE, &done_now)?;
            done
        }
    };
    let _lock = FolderLock::home(home)?;
    if let (Some(folder), Some(marker)) = (profile.folder.clone(), done.marker.clone()) {
        let disowned = runtime.blocking(move || disown(&folder, &marker)).await;
        disowned.map_err(DaemonError::Fs)?;
    }
    remove_kept(home)?;
    tell(remote.as_ref(), done.report, runtime).await;
    let note = WipedNote {
        server: profile.server.clone(),
        at_ms: runtime.clock.now().as_millis(),
        report: done.report,
        folder: profile.folder.clone().filter(|_| done.report.is_kept),
    };
    write(home, NOTE_FILE, &note)?;
    Profile::remove(home)?;
    remove_private(home, ORDER_FILE).map_err(|source| failed("remove", home.join(ORDER_FILE), source))?;
    Ok(note)
}

fn nothing() -> Done {
    Done {
        report: WipeReport::default(),
        marker: None,
    }
}

async fn wipe_folder(
    home: &Path,
    profile: &Profile,
    folder: &Path,
    everything: bool,
    runtime: &Runtime,
) -> Result<Done, WipeError> {
    let config = DaemonConfig {
        profile: profile.clone(),
        home: home.to_owned(),
        folder: folder.to_owned(),
    };
    let daemon = match Box::pin(Daemon::open(config, runtime.clone())).await {
        Ok(daemon) => daemon,
        // Whatever stands at its place is not ours.
        Err(DaemonError::FolderGone { .. }) => return Ok(nothing()),
        Err(error) => return Err(error.into()),
    };
    let wiped = async {
        let report = daemon.wipe_folder(everything).await?;
        let marker = daemon.folder_marker().await.map_err(DaemonError::State)?;
        Ok(Done { report, marker })
    };
    let done = wiped.await;
    daemon.close().await;
    done
}

fn disown(folder: &Path, marker: &str) -> Result<(), FsError> {
    let fs = OsFilesystem::open(folder).and_then(|fs| fs.check_root(marker).map(|()| fs));
    match fs {
        Ok(fs) => fs.disown(),
        // It was done before, or is not ours.
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

fn remove_kept(home: &Path) -> Result<(), WipeError> {
    let listing = fs::read_dir(home).map_err(|source| failed("list", home.to_owned(), source))?;
    for entry in listing {
        let entry = entry.map_err(|source| failed("list", home.to_owned(), source))?;
        if !is_kept(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        fs::remove_file(&path).map_err(|source| failed("remove", path, source))?;
    }
    Ok(())
}

fn is_kept(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| KEPT.iter().any(|kept| name.starts_with(kept)))
}

/// Tells the server, until it has heard it or does not know this device any more.
async fn tell(remote: &dyn Remote, report: WipeReport, runtime: &Runtime) {
    let mut backoff = Backoff::new(Arc::clone(&runtime.entropy));
    let done = Wiped {
        removed: report.removed,
        unsent: report.unsent,
        is_kept: report.is_kept,
    };
    loop {
        match remote.wiped(done).await {
            Ok(()) => return,
            Err(RemoteError::Refused(error))
                if matches!(error.code, ErrorCode::NotAuthenticated | ErrorCode::NotFound) =>
            {
                return;
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the server was not told that this device is wiped; it is tried again"
                );
                let pause = backoff.after(&error).unwrap_or_else(|| backoff.next_pause());
                tokio::time::sleep(pause).await;
            }
        }
    }
}

fn read<T: for<'text> Deserialize<'text>>(home: &Path, name: &str) -> Result<Option<T>, WipeError> {
    let path = home.join(name);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("read", path, source)),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| failed("read", path, error.into()))
}

fn write(home: &Path, name: &str, value: &impl Serialize) -> Result<(), WipeError> {
    write_private(home, name, value).map_err(|source| failed("write", home.join(name), source))
}

fn failed(action: &'static str, path: PathBuf, source: io::Error) -> WipeError {
    WipeError::Home { action, path, source }
}
