//! Opening a daemon: locks, and the real disk, state and server.

use std::path::Path;
use std::sync::Arc;

use cairn_core::runtime::Runtime;

use super::parts::{self, DaemonParts};
use super::{Daemon, DaemonConfig, DaemonError};
use crate::engine::NODES_AT_ONCE;
use crate::fs::os::OsFilesystem;
use crate::fs::{DiskPath, FsError};
use crate::lock::FolderLock;
use crate::profile::Profile;
use crate::progress::Progress;
use crate::remote::RemoteError;
use crate::remote::http::{HttpRemote, Trust};
use crate::remote::limited::Limiter;
use crate::state::sqlite::{SqliteState, set_aside};
use crate::state::{ClientState, StateError};

/// The name of the state database in a device's home folder.
const STATE_FILE: &str = "state.db";

pub(super) async fn open(config: DaemonConfig, runtime: Runtime) -> Result<Daemon, DaemonError> {
    let DaemonConfig {
        profile,
        home,
        folder,
    } = config;
    let home_lock = FolderLock::home(&home)?;
    let state = open_state(&home.join(STATE_FILE)).await?;
    let remembered = parts::remembered_marker(state.as_ref()).await?;
    if remembered.is_none() {
        make_folder(&folder)?;
    } else if !folder.is_dir() {
        return Err(DaemonError::FolderGone { folder });
    }
    let progress = Progress::new();
    let trust = trust_of(&profile)?;
    let limiter = Limiter::default();
    let remote = HttpRemote::limited(
        &profile.server,
        profile.token.expose(),
        trust,
        Arc::clone(&progress),
        &limiter,
    )?;
    let mut parts = DaemonParts {
        namespace: profile.root,
        device: profile.device,
        device_name: profile.device_name,
        server: profile.server,
        fs: Arc::new(OsFilesystem::open(&folder)?),
        folder,
        state,
        remote: Arc::new(remote),
        progress,
        readers: std::thread::available_parallelism().map_or(1, usize::from),
        nodes_at_once: NODES_AT_ONCE,
        guards: vec![Box::new(home_lock)],
    };
    // The lock lies in the folder: it is made when the folder is known to be the right one, and not earlier.
    let marker = parts::settle_marker(&parts, &runtime).await?;
    parts
        .guards
        .push(Box::new(FolderLock::synced_root(&parts.folder)?));
    let daemon = parts::put_together(parts, &marker, runtime).await?;
    Ok(daemon.limited_by(limiter).await?)
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
