//! What keeps a folder from being called in sync although every path that was looked at is: deletions that are held, files
//! that nobody is sure of, steps that were begun.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cairn_core::ids::NodeId;
use cairn_core::node::NodeKind;

use super::unread::path_of;
use super::work::is_harmless;
use super::{Daemon, DaemonError};
use crate::fs::FileKind;
use crate::reason::Reason;
use crate::scanner::Brake;
use crate::state::{StateError, StateResult};
use crate::status::{Problem, Watching};

/// The setting that says how many nodes' deletion is held.
const HELD_SETTING: &str = "held-deletes";
/// The setting that holds the policy.
const POLICY_SETTING: &str = "on-mass-delete";
/// Unsure files that are counted.
const UNSURE_COUNTED: usize = 1_000;

/// Problems that are remembered, as many as a scan names.
const PROBLEMS_KEPT: usize = 1_000;

/// What happens when most of the files vanish at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MassDeletePolicy {
    /// The deletion is held until the user says that it is meant.
    #[default]
    Hold,
    /// It is meant: for machines that nobody looks at.
    Apply,
}

impl MassDeletePolicy {
    const fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Apply => "apply",
        }
    }
}

/// What is open beside the nodes whose trees differ.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) unsure: u64,
    pub(super) held_deletes: u64,
    /// Whether a step on the disk or a commit was begun and is not finished.
    is_unfinished: bool,
    /// Whether the server has not been heard for long.
    is_deaf: bool,
}

impl Open {
    pub(super) const fn is_nothing(&self) -> bool {
        self.unsure == 0 && self.held_deletes == 0 && !self.is_unfinished && !self.is_deaf
    }

    /// What the user is told of it. Unsure files are counted only: they settle within seconds.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let whole = |reason: Reason, message: String| Problem {
            path: String::new(),
            code: reason.code().to_owned(),
            message,
        };
        let mut problems = Vec::new();
        if self.held_deletes > 0 {
            let message = format!("{} nodes: {}", self.held_deletes, Reason::MassDelete);
            problems.push(whole(Reason::MassDelete, message));
        }
        if self.is_unfinished {
            problems.push(whole(Reason::Unfinished, Reason::Unfinished.to_string()));
        }
        if self.is_deaf {
            problems.push(whole(Reason::NoEvents, Reason::NoEvents.to_string()));
        }
        problems
    }
}

impl Daemon {
    /// Says what happens from now on when most of the files vanish at once; remembered by the device.
    ///
    /// # Errors
    /// As the state says.
    pub async fn set_mass_delete_policy(&self, policy: MassDeletePolicy) -> Result<(), DaemonError> {
        let state = &self.engine.state;
        Ok(state.set_setting(POLICY_SETTING, Some(policy.word())).await?)
    }

    /// How far the next scan believes in deletions. A release counts for a look at everything.
    pub(super) async fn brake(&self, is_whole: bool) -> StateResult<Brake> {
        let policy = self.engine.state.setting(POLICY_SETTING).await?;
        if policy.as_deref() == Some(MassDeletePolicy::Apply.word()) {
            return Ok(Brake::Released);
        }
        if is_whole && self.may_delete_en_masse.swap(false, Ordering::Relaxed) {
            return Ok(Brake::Released);
        }
        Ok(if self.held_deletes().await? > 0 {
            Brake::Holding
        } else {
            Brake::On
        })
    }

    /// How many nodes' deletion is held.
    pub(super) async fn held_deletes(&self) -> StateResult<u64> {
        let held = self.engine.state.setting(HELD_SETTING).await?;
        Ok(held.and_then(|held| held.parse().ok()).unwrap_or(0))
    }

    /// Remembers what a scan held; says whether everything must be looked at to know it for certain.
    pub(super) async fn note_held(&self, is_whole: bool, count: Option<u64>) -> StateResult<bool> {
        let before = self.held_deletes().await?;
        let now = if is_whole {
            count.unwrap_or(0)
        } else {
            before.max(count.unwrap_or(0))
        };
        if now == before {
            return Ok(false);
        }
        let value = (now > 0).then(|| now.to_string());
        self.engine
            .state
            .set_setting(HELD_SETTING, value.as_deref())
            .await?;
        if now > 0 {
            tracing::warn!(
                count = now,
                "most of the files vanished at once: their deletion is held"
            );
        }
        Ok(!is_whole)
    }

    pub(super) async fn has_unsure(&self) -> Result<bool, StateError> {
        let unsure = self.engine.state.unsure(self.engine.namespace, 1).await?;
        Ok(!unsure.is_empty())
    }

    pub(super) async fn what_is_open(&self) -> StateResult<Open> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        Ok(Open {
            unsure: state.unsure(namespace, UNSURE_COUNTED).await?.len() as u64,
            held_deletes: self.held_deletes().await?,
            is_unfinished: !state.intents(namespace).await?.is_empty()
                || state.in_flight(namespace).await?.is_some(),
            is_deaf: self.is_deaf.load(Ordering::Relaxed),
        })
    }

    /// Adds to what a scan of some folders found what was found elsewhere before and is still there: a problem does not go
    /// away because nobody looks. That of a folder does when the scan has listed it, one of `visited`: its row says nothing of what is
    /// in it.
    pub(super) async fn keep_problems(
        &self,
        before: Vec<Problem>,
        found: &mut Vec<Problem>,
        visited: &HashSet<NodeId>,
    ) {
        let known: HashSet<String> = found.iter().map(|problem| problem.path.clone()).collect();
        let fs = Arc::clone(&self.engine.fs);
        let namespace = self.engine.namespace;
        for problem in before {
            if known.contains(&problem.path) {
                continue;
            }
            if !is_harmless(&problem) {
                let path = path_of(&problem);
                let is_root = path.names().is_empty();
                let row = self.engine.state.local_at(namespace, path.names()).await;
                let fs = Arc::clone(&fs);
                let now = self.runtime.blocking(move || fs.metadata(&path)).await;
                let is_gone = matches!(now, Ok(None));
                let is_overcome = match (now, row) {
                    _ if is_root => visited.contains(&NodeId::ROOT),
                    (Ok(Some(now)), Ok(Some(row))) if now.kind == FileKind::Node(NodeKind::Directory) => {
                        visited.contains(&row.node)
                    }
                    // It was read since, in the state in which it is now.
                    (Ok(Some(now)), Ok(Some(row))) => now.fingerprint == row.fingerprint,
                    _ => false,
                };
                if is_gone || is_overcome {
                    continue;
                }
            }
            found.push(problem);
        }
        found.truncate(PROBLEMS_KEPT);
    }

    /// Tells how changes on the disk are noticed.
    pub(super) fn tell_watching(&self, is_troubled: bool) {
        let watching = if is_troubled {
            Watching::Partly
        } else {
            Watching::Fully
        };
        self.status.send_if_modified(|status| {
            let is_new = status.watching != watching;
            status.watching = watching;
            is_new
        });
    }
}
