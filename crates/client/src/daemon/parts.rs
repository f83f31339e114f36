//! What a daemon is made of, and how it is put together: the folder's marker, half-done steps, engine and scanner.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use cairn_core::ids::{DeviceId, Incarnation, NamespaceId};
use cairn_core::runtime::Runtime;
use tokio::sync::{Mutex, Notify, watch};

use super::conflicts::Steered;
use super::heartbeat::Heartbeat;
use super::jobs::Jobs;
use super::pause::was_paused;
use super::reread::{may_have_lost_writes, note_lost_since};
use super::{Daemon, DaemonError};
use crate::applier::{Applier, ApplyError};
use crate::downloader::Downloader;
use crate::engine::Engine;
use crate::fs::Filesystem;
use crate::progress::Progress;
use crate::remote::Remote;
use crate::scanner::Scanner;
use crate::state::{ClientState, StateResult};
use crate::status::{Activity, Status, Transfer, Watching};
use crate::uploader::{HotSignatures, Pace, Uploader};

/// The setting that holds the marker of the synced root.
const MARKER_SETTING: &str = "root-marker";

/// Something that is kept until the last work of a daemon has ended, such as a lock.
pub type Guard = Box<dyn Any + Send + Sync>;

/// A device as a daemon sees it: its disk, its memory, its server.
pub struct DaemonParts {
    /// The namespace that is synced.
    pub namespace: NamespaceId,
    /// This device, as the journal names it.
    pub device: DeviceId,
    /// This device's name, for conflicted copies.
    pub device_name: String,
    /// The server's address, for messages.
    pub server: String,
    /// The synced folder, for messages and for the system's watch.
    pub folder: PathBuf,
    /// The synced folder.
    pub fs: Arc<dyn Filesystem>,
    /// What the device remembers.
    pub state: Arc<dyn ClientState>,
    /// The server.
    pub remote: Arc<dyn Remote>,
    /// What is counted; `remote` counts in it too.
    pub progress: Arc<Progress>,
    /// Cores that may read and hash files at once; at least 1.
    pub readers: usize,
    /// Nodes planned at once: [`crate::engine::NODES_AT_ONCE`], fewer where what goes beyond is to be seen.
    pub nodes_at_once: usize,
    /// What keeps others out. Let go when the daemon is gone and nothing of it runs any more.
    pub guards: Vec<Guard>,
}

/// Settles whose folder it is, then puts the daemon together.
pub(super) async fn assemble(parts: DaemonParts, runtime: Runtime) -> Result<Daemon, DaemonError> {
    let marker = settle_marker(&parts, &runtime).await?;
    put_together(parts, &marker, runtime).await
}

/// The marker of the folder that was synced before.
pub(super) async fn remembered_marker(state: &dyn ClientState) -> StateResult<Option<String>> {
    state.setting(MARKER_SETTING).await
}

/// Checks that the folder is the one that was synced before, or makes it ours.
pub(super) async fn settle_marker(parts: &DaemonParts, runtime: &Runtime) -> Result<String, DaemonError> {
    let fs = Arc::clone(&parts.fs);
    if let Some(marker) = remembered_marker(parts.state.as_ref()).await? {
        let expected = marker.clone();
        return match runtime.blocking(move || fs.check_root(&expected)).await {
            Ok(()) => Ok(marker),
            Err(error) if error.is_not_found() => Err(DaemonError::FolderGone {
                folder: parts.folder.clone(),
            }),
            Err(error) => Err(error.into()),
        };
    }
    // A marker of an earlier link means nothing any more: with a fresh state, everything is merged.
    let marker = Incarnation::random(runtime.entropy.as_ref()).to_string();
    let fresh = marker.clone();
    runtime.blocking(move || fs.adopt_root(&fresh)).await?;
    parts.state.set_setting(MARKER_SETTING, Some(&marker)).await?;
    Ok(marker)
}

/// Builds the daemon of a folder that carries `marker`, and finishes what a crash left half done on its disk.
pub(super) async fn put_together(
    mut parts: DaemonParts,
    marker: &str,
    runtime: Runtime,
) -> Result<Daemon, DaemonError> {
    let guards = std::mem::take(&mut parts.guards);
    let jobs = Arc::new(Jobs::new(runtime.spawner, guards));
    let runtime = Runtime {
        spawner: Arc::clone(&jobs) as _,
        ..runtime
    };
    let is_paused = was_paused(&*parts.state).await?;
    let status = Status {
        activity: if is_paused {
            Activity::Paused
        } else {
            Activity::Starting
        },
        folder: parts.folder.display().to_string(),
        server: parts.server.clone(),
        local_nodes: 0,
        remote_nodes: 0,
        pending: 0,
        in_sync: false,
        unsure: 0,
        held_deletes: 0,
        watching: Watching::Fully,
        reread_files: 0,
        upload: Transfer::default(),
        download: Transfer::default(),
        problems: Vec::new(),
        passes: 0,
        full_passes: 0,
        ignored: 0,
    };
    let scanner = Scanner::new(
        Arc::clone(&parts.fs),
        Arc::clone(&parts.state),
        runtime.clone(),
        parts.namespace,
        marker,
        parts.readers,
    );
    let folder = parts.folder.clone();
    let may_have_lost_writes = may_have_lost_writes(&*parts.fs, &*parts.state).await?;
    if may_have_lost_writes {
        note_lost_since(&*parts.state).await?;
    }
    let engine = Engine {
        may_have_lost_writes: AtomicBool::new(may_have_lost_writes),
        ..build_engine(parts, &runtime)
    };
    recover(&engine).await?;
    engine.note_taken_back().await?;
    Ok(Daemon {
        engine,
        scanner,
        runtime,
        folder,
        status: watch::Sender::new(status),
        paused: watch::Sender::new(is_paused),
        is_deaf: Arc::default(),
        may_delete_en_masse: AtomicBool::new(false),
        nudge: Notify::new(),
        pass: Mutex::new(()),
        jobs,
        steered: Steered::default(),
        heartbeat: Heartbeat::default(),
    })
}

fn build_engine(parts: DaemonParts, runtime: &Runtime) -> Engine {
    let applier = Applier::new(
        Arc::clone(&parts.fs),
        Arc::clone(&parts.state),
        runtime.clone(),
        parts.namespace,
        &parts.device_name,
    );
    let uploader = Uploader {
        remote: Arc::clone(&parts.remote),
        fs: Arc::clone(&parts.fs),
        state: Arc::clone(&parts.state),
        runtime: runtime.clone(),
        namespace: parts.namespace,
        progress: Arc::clone(&parts.progress),
        hot: HotSignatures::default(),
        pace: Pace::default(),
    };
    let downloader = Downloader {
        remote: Arc::clone(&parts.remote),
        fs: Arc::clone(&parts.fs),
        state: Arc::clone(&parts.state),
        runtime: runtime.clone(),
        namespace: parts.namespace,
        progress: Arc::clone(&parts.progress),
    };
    Engine {
        remote: parts.remote,
        fs: parts.fs,
        state: parts.state,
        runtime: runtime.clone(),
        namespace: parts.namespace,
        device: parts.device,
        device_name: parts.device_name,
        progress: parts.progress,
        applier,
        uploader,
        downloader,
        may_have_lost_writes: AtomicBool::new(false),
        names_taken: AtomicU32::new(0),
        nodes_at_once: parts.nodes_at_once,
    }
}

/// Finishes what a crash left half done. A disk that fails just now does not keep the daemon from its start: every pass
/// finishes such steps before it does anything else, and says what is wrong as long as it cannot.
async fn recover(engine: &Engine) -> Result<(), DaemonError> {
    match engine.applier.recover().await {
        Ok(()) => Ok(()),
        Err(ApplyError::State(error)) => Err(DaemonError::State(error)),
        Err(ApplyError::Fs(error)) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what a crash left half done could not be finished yet"
            );
            Ok(())
        }
        Err(other) => Err(DaemonError::Unfinished {
            count: 1,
            first: other.to_string(),
        }),
    }
}
