//! Looks one path up in everything that is known.

use std::sync::Arc;

use cairn_core::ids::NodeId;
use cairn_core::name::NodeName;
use cairn_core::tree::agree;

use super::Daemon;
use crate::fs::{DiskPath, FileKind, Metadata};
use crate::reason::Reason;
use crate::state::{LocalRow, StateResult};
use crate::status::Activity;
use crate::why::Explanation;

impl Daemon {
    /// Says in which state a path is, why, and what to do. `path` has slashes and begins at the synced folder.
    ///
    /// # Errors
    /// As the state says.
    pub async fn why(&self, path: &str) -> StateResult<Explanation> {
        let names: Vec<String> = path
            .split('/')
            .filter(|name| !name.is_empty() && *name != ".")
            .map(str::to_owned)
            .collect();
        let shown = names.join("/");
        let status = self.status.borrow().clone();
        if let Some(problem) = status.problems.iter().find(|problem| problem.path == shown) {
            let reason = Reason::from_code(&problem.code).unwrap_or(Reason::State);
            return Ok(Explanation::of(&shown, reason).with(problem.message.clone()));
        }
        let state = &self.engine.state;
        let local = state.local_at(self.engine.namespace, &names).await?;
        let disk_path = DiskPath::from_names(names.clone());
        let (fs, at) = (Arc::clone(&self.engine.fs), disk_path.clone());
        let disk = self.runtime.blocking(move || fs.metadata(&at)).await;
        let explanation = match (local, disk) {
            (_, Err(error)) => Explanation::of(&shown, Reason::Unreadable).with(error.source.to_string()),
            (Some(row), Ok(None)) => self.vanished(&shown, &row).await?,
            (Some(row), Ok(Some(found))) => self.known(&shown, &row, &found).await?,
            (None, Ok(Some(found))) => self.only_on_disk(&shown, &disk_path, &found).await?,
            (None, Ok(None)) => self.only_on_server(&shown, &names).await?,
        };
        Ok(self.as_things_are(explanation, status.activity))
    }

    /// What waits for something else while syncing does not go on.
    fn as_things_are(&self, explanation: Explanation, activity: Activity) -> Explanation {
        let is = |reason: Reason| explanation.code.as_deref() == Some(reason.code());
        let waits_to_travel = is(Reason::Upload) || is(Reason::Download) || is(Reason::NotScanned);
        let stopped = match activity {
            // Nothing is read again, either.
            Activity::Paused if waits_to_travel || is(Reason::Unsure) => Reason::Paused,
            Activity::Offline if waits_to_travel => Reason::Offline,
            _ => return explanation,
        };
        let mut stopped = Explanation::of(&explanation.path, stopped).with(explanation.cause);
        stopped.notes.extend(explanation.notes);
        stopped
    }

    async fn vanished(&self, shown: &str, row: &LocalRow) -> StateResult<Explanation> {
        let _ = row;
        Ok(if self.held_deletes().await? > 0 {
            Explanation::of(shown, Reason::MassDelete)
        } else {
            Explanation::of(shown, Reason::NotScanned).with("it is gone from the disk")
        })
    }

    async fn only_on_disk(&self, shown: &str, path: &DiskPath, found: &Metadata) -> StateResult<Explanation> {
        let reason = match found.kind {
            FileKind::Special => Reason::SpecialFile,
            FileKind::MountPoint => Reason::MountPoint,
            FileKind::Node(_) => {
                if let Some(Err(error)) = path.name().map(NodeName::new) {
                    return Ok(Explanation::of(shown, Reason::BadName).with(error.to_string()));
                }
                if let Ok(Some(rule)) = self.scanner.ignored_by(path).await {
                    let by = match rule.file {
                        Some(file) if rule.rule.is_empty() => format!("{file} cannot be read"),
                        Some(file) => format!("the rule {} in {file}", rule.rule),
                        None => "a rule that is built in".to_owned(),
                    };
                    return Ok(Explanation::of(shown, Reason::Ignored).with(by));
                }
                Reason::NotScanned
            }
        };
        Ok(Explanation::of(shown, reason))
    }

    async fn only_on_server(&self, shown: &str, names: &[String]) -> StateResult<Explanation> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        let names: Result<Vec<NodeName>, _> = names.iter().map(|name| NodeName::new(name.as_str())).collect();
        let node = match names {
            Ok(names) if !names.is_empty() => state.remote_at(namespace, &names).await?,
            _ => None,
        };
        let Some(node) = node else {
            return Ok(Explanation::of(shown, Reason::NotKnown));
        };
        if state.is_withheld(namespace, node).await? {
            return Ok(Explanation::of(shown, Reason::Excluded));
        }
        if let Some(row) = state.local(namespace, node).await?
            && let Some(names) = state.disk_path(namespace, node).await?
        {
            // The same node stands under another name here: the server's name cannot be kept by this disk, or a move waits.
            let on_disk = names.join("/");
            let trees = (
                state.remote(namespace, node).await?,
                state.synced(namespace, node).await?,
            );
            let explanation = if agree(trees.0.as_ref(), Some(&row.entry), trees.1.as_ref()) {
                Explanation::agreed(shown)
            } else {
                Explanation::of(shown, Reason::Download)
            };
            return Ok(explanation.with(format!("on this disk its name is {on_disk}")));
        }
        Ok(Explanation::of(shown, Reason::Download))
    }

    async fn known(&self, shown: &str, row: &LocalRow, found: &Metadata) -> StateResult<Explanation> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        let is_folder = row.entry.is_directory();
        if found.kind != FileKind::Node(row.entry.substance.kind())
            || (!is_folder && found.fingerprint != row.fingerprint)
        {
            return Ok(Explanation::of(shown, Reason::NotScanned));
        }
        if row.is_unsure {
            return Ok(Explanation::of(shown, Reason::Unsure));
        }
        let remote = state.remote(namespace, row.node).await?;
        let synced = state.synced(namespace, row.node).await?;
        let mut explanation = if agree(remote.as_ref(), Some(&row.entry), synced.as_ref()) {
            Explanation::agreed(shown)
        } else if remote.is_some() && remote != synced {
            Explanation::of(shown, Reason::Download)
        } else {
            Explanation::of(shown, Reason::Upload)
        };
        if let Some(remote) = &remote {
            explanation = explanation.with(format!(
                "on the server since change {} (place) and {} (content)",
                remote.place_seq.get(),
                remote.content_seq.get()
            ));
        }
        if let Some(name) = &row.disk_name {
            explanation = explanation.with(format!(
                "on the server its name is {}; this disk cannot have that name beside what is here, so it is {name}",
                row.entry.place.name
            ));
        }
        if let Some(original) = self.copied_from(row.node).await? {
            explanation = explanation.with(format!(
                "it is a conflicted copy of {original}; settle it with \"cairn conflicts\""
            ));
        }
        Ok(explanation)
    }

    /// The path of what a conflicted copy is a copy of.
    async fn copied_from(&self, copy: NodeId) -> StateResult<Option<String>> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        let rows = state.conflicts(namespace).await?;
        let Some(row) = rows.iter().find(|row| row.copy == copy) else {
            return Ok(None);
        };
        let names = state.disk_path(namespace, row.original).await?;
        Ok(Some(names.map_or_else(
            || "a file that is gone".to_owned(),
            |names| names.join("/"),
        )))
    }
}
