//! Conflicts and limits: what the user says about them while the daemon runs, or under its lock.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use cairn_core::ids::NodeId;

use super::Daemon;
use crate::conflicts::{Conflict, ConflictError, Inbox, Resolution, Resolved};
use crate::files::RemoteFiles;
use crate::fs::DiskPath;
use crate::remote::limited::{Limiter, Rates, TooSlow};
use crate::scanner::Brake;
use crate::state::inbox::ConflictReason;
use crate::state::{StateError, StateResult};

/// The setting that says whether conflicts are merged without being asked.
const AUTO_MERGE_SETTING: &str = "auto-merge";
/// The settings of the limits, in bytes a second.
const UP_SETTING: &str = "limit-up";
const DOWN_SETTING: &str = "limit-down";
/// Longest file in bytes that is merged without being asked.
const AUTO_MERGE_BYTES: u64 = 1024 * 1024;

/// What a daemon knows of limits and conflicts between two passes.
#[derive(Default)]
pub(super) struct Steered {
    limiter: Limiter,
    /// Copies that cannot be merged cleanly: they are not tried again before the next start.
    tried: Mutex<HashSet<NodeId>>,
}

/// Why a limit was not set.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// It is too low.
    #[error(transparent)]
    TooSlow(#[from] TooSlow),
    /// The device's state.
    #[error(transparent)]
    State(#[from] StateError),
    /// This daemon has no limits.
    #[error("limits cannot be set here")]
    NotHere,
}

impl Daemon {
    /// The conflicts of the folder.
    ///
    /// # Errors
    /// [`ConflictError`].
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, ConflictError> {
        let inbox = self.inbox();
        let found = {
            let _pass = self.pass.lock().await;
            inbox.find_all().await?
        };
        // Merging takes its time, and so does fetching what both came from.
        Ok(inbox.list(&found).await)
    }

    /// Makes one version of a conflict stand, on this disk; syncing takes it from there.
    ///
    /// # Errors
    /// [`ConflictError`].
    pub async fn resolve_conflict(&self, resolution: &Resolution) -> Result<Resolved, ConflictError> {
        let _pass = self.pass.lock().await;
        let inbox = self.inbox();
        let folders = inbox.folders_of(&resolution.path).await?;
        // What is decided is decided on what is on the disk now.
        self.scanner.scan_folders(&folders, Brake::On).await?;
        let resolved = inbox.resolve(resolution).await;
        self.scanner.scan_folders(&folders, Brake::On).await?;
        self.nudge.notify_one();
        resolved
    }

    /// Whether conflicts of short texts are merged without being asked, where that is clean; with `on` it is so from now
    /// on.
    ///
    /// # Errors
    /// As the state says.
    pub async fn auto_merge(&self, on: Option<bool>) -> StateResult<bool> {
        let state = &self.engine.state;
        if let Some(on) = on {
            state.set_setting(AUTO_MERGE_SETTING, on.then_some("on")).await?;
        }
        Ok(state.setting(AUTO_MERGE_SETTING).await?.as_deref() == Some("on"))
    }

    /// The limits; with `rates` these hold from now on, at once and after every start.
    ///
    /// # Errors
    /// [`LimitError`].
    pub async fn limit(&self, rates: Option<Rates>) -> Result<Rates, LimitError> {
        if let Some(rates) = rates {
            self.steered.limiter.set(rates)?;
            for (key, rate) in [(UP_SETTING, rates.up), (DOWN_SETTING, rates.down)] {
                let text = rate.map(|rate| rate.to_string());
                self.engine.state.set_setting(key, text.as_deref()).await?;
            }
        }
        Ok(self.steered.limiter.rates())
    }

    /// Takes over the limiter of the way to the server, with the limits that were set before.
    pub(super) async fn limited_by(mut self, limiter: Limiter) -> StateResult<Self> {
        let mut rates = Rates::default();
        for (key, rate) in [(UP_SETTING, &mut rates.up), (DOWN_SETTING, &mut rates.down)] {
            let text = self.engine.state.setting(key).await?;
            *rate = text.and_then(|text| text.parse().ok());
        }
        if let Err(error) = limiter.set(rates) {
            tracing::warn!(%error, "the limit that was set is not kept");
        }
        self.steered.limiter = limiter;
        Ok(self)
    }

    /// Merges what can be merged without being asked. Returns the folders that changed. The caller has the pass.
    pub(super) async fn merge_conflicts(&self) -> StateResult<Vec<DiskPath>> {
        if !self.auto_merge(None).await? {
            return Ok(Vec::new());
        }
        let rows = self.engine.state.conflicts(self.engine.namespace).await?;
        let is_untried = |node: &NodeId| {
            let tried = self.steered.tried.lock().unwrap_or_else(PoisonError::into_inner);
            !tried.contains(node)
        };
        let wanted: HashSet<NodeId> = rows
            .iter()
            .filter(|row| row.reason == ConflictReason::BothEdited && row.base.is_some())
            .map(|row| row.copy)
            .filter(is_untried)
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let merged = self.inbox().merge_clean(&wanted, AUTO_MERGE_BYTES).await?;
        self.steered
            .tried
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(merged.hopeless);
        Ok(merged.folders)
    }

    fn inbox(&self) -> Inbox<'_> {
        let engine = &self.engine;
        Inbox {
            fs: engine.fs.clone(),
            state: engine.state.clone(),
            runtime: engine.runtime.clone(),
            namespace: engine.namespace,
            device_name: &engine.device_name,
            applier: &engine.applier,
            files: RemoteFiles {
                remote: engine.remote.clone(),
                namespace: engine.namespace,
                runtime: engine.runtime.clone(),
                progress: engine.progress.clone(),
            },
        }
    }
}
