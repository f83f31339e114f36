//! Opening a daemon: locks, state, the folder and its marker.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cairn_core::ids::Incarnation;
use cairn_core::runtime::Runtime;
use tokio::sync::{Mutex, Notify, watch};

use super::{Daemon, DaemonConfig, DaemonError};
use crate::applier::Applier;
use crate::downloader::Downloader;
use crate::engine::Engine;
use crate::fs::os::OsFilesystem;
use crate::fs::{DiskPath, Filesystem, FsError};
use crate::lock::FolderLock;
use crate::profile::Profile;
use crate::progress::Progress;
use crate::remote::http::{HttpRemote, Trust};
use crate::remote::{Remote, RemoteError};
use crate::scanner::Scanner;
use crate::state::sqlite::{SqliteState, set_aside};
use crate::state::{ClientState, StateError};
use crate::status::{Activity, Status, Transfer};
use crate::uploader::Uploader;

/// The name of the state database in a device's home folder.
const STATE_FILE: &str = "state.db";
/// The setting that holds the marker of the synced root.
const MARKER_SETTING: &str = "root-marker";

pub(super) async fn open(config: DaemonConfig, runtime: Runtime) -> Result<Daemon, DaemonError> {
    let DaemonConfig {
        profile,
        home,
        folder,
    } = config;
    let home_lock = FolderLock::home(&home)?;
    let state = open_state(&home.join(STATE_FILE)).await?;
    let remembered = state.setting(MARKER_SETTING).await?;
    if remembered.is_none() {
        make_folder(&folder)?;
    } else if !folder.is_dir() {
        return Err(DaemonError::FolderGone { folder });
    }
    let fs: Arc<dyn Filesystem> = Arc::new(OsFilesystem::open(&folder)?);
    let marker = settle_marker(fs.as_ref(), state.as_ref(), remembered, &runtime, &folder).await?;
    let folder_lock = FolderLock::synced_root(&folder)?;
    let engine = build_engine(&profile, Arc::clone(&fs), Arc::clone(&state), &runtime)?;
    engine.applier.recover().await.map_err(recovery_error)?;
    let scanner = Scanner::new(fs, state, runtime.clone(), profile.root, &marker);
    let status = Status {
        activity: Activity::Starting,
        folder: folder.display().to_string(),
        server: profile.server.clone(),
        local_nodes: 0,
        remote_nodes: 0,
        pending: 0,
        in_sync: false,
        upload: Transfer::default(),
        download: Transfer::default(),
        problems: Vec::new(),
        passes: 0,
        full_passes: 0,
    };
    Ok(Daemon {
        engine,
        scanner,
        runtime,
        folder,
        status: watch::Sender::new(status),
        is_paused: AtomicBool::new(false),
        may_delete_en_masse: AtomicBool::new(false),
        nudge: Notify::new(),
        pass: Mutex::new(()),
        _locks: [home_lock, folder_lock],
    })
}

fn recovery_error(error: crate::applier::ApplyError) -> DaemonError {
    match error {
        crate::applier::ApplyError::State(error) => DaemonError::State(error),
        crate::applier::ApplyError::Fs(error) => DaemonError::Fs(error),
        other => DaemonError::Unfinished {
            count: 1,
            first: other.to_string(),
        },
    }
}

/// Opens the state; a damaged one is set aside: it is a cache of what disk and server say, and the next pass merges
/// both without taking anything for deleted.
async fn open_state(path: &Path) -> Result<Arc<dyn ClientState>, StateError> {
    match SqliteState::open(path).await {
        Ok(state) => Ok(Arc::new(state)),
        Err(StateError::Corrupt { what, .. }) => {
            let aside = set_aside(path)?;
            tracing::warn!(
                what,
                aside = %aside.display(),
                "the state database is damaged: it was set aside and is built anew from disk and server"
            );
            Ok(Arc::new(SqliteState::open(path).await?))
        }
        Err(error) => Err(error),
    }
}

fn make_folder(folder: &Path) -> Result<(), DaemonError> {
    std::fs::create_dir_all(folder).map_err(|source| {
        let path = DiskPath::from_names(vec![folder.display().to_string()]);
        DaemonError::Fs(FsError {
            action: "make",
            path,
            source,
        })
    })
}

/// Checks that the folder is the one that was synced before, or makes it ours.
async fn settle_marker(
    fs: &dyn Filesystem,
    state: &dyn ClientState,
    remembered: Option<String>,
    runtime: &Runtime,
    folder: &Path,
) -> Result<String, DaemonError> {
    if let Some(marker) = remembered {
        return match fs.check_root(&marker) {
            Ok(()) => Ok(marker),
            Err(error) if error.is_not_found() => Err(DaemonError::FolderGone {
                folder: folder.to_owned(),
            }),
            Err(error) => Err(error.into()),
        };
    }
    // A marker of an earlier link means nothing any more: with a fresh state, everything is merged.
    let marker = Incarnation::random(runtime.entropy.as_ref()).to_string();
    fs.adopt_root(&marker)?;
    state.set_setting(MARKER_SETTING, Some(&marker)).await?;
    Ok(marker)
}

fn build_engine(
    profile: &Profile,
    fs: Arc<dyn Filesystem>,
    state: Arc<dyn ClientState>,
    runtime: &Runtime,
) -> Result<Engine, DaemonError> {
    let progress = Progress::new();
    let trust = trust_of(profile)?;
    let remote: Arc<dyn Remote> = Arc::new(HttpRemote::new(
        &profile.server,
        profile.token.expose(),
        trust,
        Arc::clone(&progress),
    )?);
    let namespace = profile.root;
    let applier = Applier::new(
        Arc::clone(&fs),
        Arc::clone(&state),
        runtime.clone(),
        namespace,
        &profile.device_name,
    );
    let uploader = Uploader {
        remote: Arc::clone(&remote),
        fs: Arc::clone(&fs),
        state: Arc::clone(&state),
        runtime: runtime.clone(),
        namespace,
        progress: Arc::clone(&progress),
    };
    let downloader = Downloader {
        remote: Arc::clone(&remote),
        fs: Arc::clone(&fs),
        state: Arc::clone(&state),
        runtime: runtime.clone(),
        namespace,
        progress: Arc::clone(&progress),
    };
    Ok(Engine {
        remote,
        fs,
        state,
        runtime: runtime.clone(),
        namespace,
        device_name: profile.device_name.clone(),
        progress,
        applier,
        uploader,
        downloader,
    })
}

/// Which certificate the profile trusts.
fn trust_of(profile: &Profile) -> Result<Trust, RemoteError> {
    let Some(pinned) = &profile.certificate_fingerprint else {
        return Ok(Trust::Platform);
    };
    pinned
        .parse()
        .map(Trust::Pinned)
        .map_err(|_malformed| RemoteError::BadAddress {
            server: profile.server.clone(),
            what: "the stored certificate fingerprint is damaged; log in again".to_owned(),
        })
}
