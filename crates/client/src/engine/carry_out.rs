//! Carries out the steps of one plan: what travels is fetched first, then the disk is changed, then the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cairn_core::ids::NodeId;
use cairn_core::planner::{Plan, Step, Wish};
use cairn_core::tree::Neighbourhood;

use super::fetching::{Staged, lacks_content};
use super::report::PassReport;
use super::{Engine, EngineResult};
use crate::applier::{ApplyError, PARTIAL_PREFIX, Placement};
use crate::fs::FsError;
use crate::reason::Reason;
use crate::state::{LocalChange, StateBatch, StateResult, TreeChange};

/// How long what was displaced stays in the root's own trash.
const TRASH_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// Notes of activity that one plan leaves; the rest is counted.
const NOTES: usize = 50;

impl Engine {
    pub(super) async fn carry_out(
        &self,
        hood: &Neighbourhood,
        plan: Plan,
        report: &mut PassReport,
    ) -> EngineResult<()> {
        report.steps += plan.steps.len() as u64;
        let staged = self.fetch(hood, &plan.steps, report).await?;
        let mut trees = StateBatch::default();
        let mut groups: Vec<Vec<Wish>> = Vec::new();
        let mut arrivals: Vec<Placement> = Vec::new();
        let mut notes = 0;
        let displaces = |step: &Step| matches!(step, Step::Replace { .. } | Step::Remove { .. });
        let is_displacing = plan.steps.iter().any(displaces);
        let steps = plan.steps.into_iter();
        for step in steps.filter(|step| !lacks_content(hood, step, &staged)) {
            if let Step::Create { node } = &step
                && let (Some(entry), Some(name)) = (hood.remote.get(*node), staged.get(node))
            {
                // Files that follow one another are put in place together: one sync of each folder serves them all.
                self.flush(&mut trees).await?;
                arrivals.push(Placement {
                    node: *node,
                    entry: entry.clone(),
                    staged: name.clone(),
                });
                continue;
            }
            self.place_arrivals(&mut arrivals, report).await?;
            if report.is_stuck {
                break;
            }
            if matches!(step, Step::NameForServer { .. }) {
                self.flush(&mut trees).await?;
            }
            match self.as_this_disk_can(hood, step).await? {
                Step::Commit { wishes } => groups.push(wishes),
                step if is_of_trees(&step) => {
                    if let Step::Adopt { local, .. } = &step
                        && !self.is_durable(*local, report).await?
                    {
                        break;
                    }
                    self.note_conflict(hood, &step).await?;
                    self.change_trees(hood, step, &mut trees).await?;
                    report.done += 1;
                }
                step => {
                    self.flush(&mut trees).await?;
                    self.note(&step, &mut notes).await?;
                    self.note_conflict(hood, &step).await?;
                    self.change_disk(hood, step, &staged, report).await?;
                }
            }
        }
        if !report.is_stuck {
            self.place_arrivals(&mut arrivals, report).await?;
        }
        self.flush(&mut trees).await?;
        if report.is_stuck {
            return Ok(());
        }
        if is_displacing {
            // What waits for its second look has a bound.
            for folder in self.look_again().await? {
                report.must_rescan(folder);
            }
        }
        if !groups.is_empty() {
            self.push(hood, &groups, Some(report)).await?;
        }
        Ok(())
    }

    /// Finishes steps that an error left half done: their intents are still written down. Says whether none is left; if
    /// not, the report is stuck. What such a step has displaced may stand under the name of the next download, and may be
    /// missing at its place.
    pub(crate) async fn finish_intents(&self, report: &mut PassReport) -> EngineResult<bool> {
        if self.state.intents(self.namespace).await?.is_empty() {
            return Ok(true);
        }
        match self.applier.recover().await {
            Ok(()) => Ok(true),
            Err(ApplyError::State(error)) => Err(error.into()),
            Err(error) => {
                report.set_back("", Reason::Disk, format!("{error}; it is tried again"), true);
                report.is_stuck = true;
                Ok(false)
            }
        }
    }

    /// Drops downloads that were begun and are not wanted any more. That some of it may stay is no setback.
    pub(super) async fn sweep_stage(&self) {
        if let Err(error) = self.applier.clear_stage().await {
            tracing::debug!(%error, "the stage could not be cleared");
        }
        let fs = Arc::clone(&self.fs);
        let swept = self.runtime.blocking(move || {
            // Nothing but downloads: whatever else is staged may be the only copy of somebody's bytes, and goes to the trash.
            for staged in fs
                .staged_names()?
                .iter()
                .filter(|name| name.starts_with(PARTIAL_PREFIX))
            {
                fs.unstage(staged)?;
            }
            Ok::<(), FsError>(())
        });
        if let Err(error) = swept.await {
            tracing::debug!(%error, "the stage could not be swept");
        }
    }

    /// Drops what lay in the trash for its time, which asks for nothing but the time.
    pub(super) async fn empty_trash(&self) {
        let fs = Arc::clone(&self.fs);
        let before = self.runtime.clock.now().plus_millis(-TRASH_MS);
        if let Err(error) = self.runtime.blocking(move || fs.empty_trash(before)).await {
            tracing::debug!(%error, "the trash could not be emptied");
        }
    }

    async fn flush(&self, trees: &mut StateBatch) -> StateResult<()> {
        if *trees == StateBatch::default() {
            return Ok(());
        }
        self.state.apply(self.namespace, std::mem::take(trees)).await
    }

    /// Whether a folder that was found may be taken for the server's; if not, the report is stuck.
    async fn is_durable(&self, node: NodeId, report: &mut PassReport) -> EngineResult<bool> {
        match self.applier.secure_folder(node).await {
            Ok(()) => Ok(true),
            Err(ApplyError::State(error)) => Err(error.into()),
            Err(error) => {
                report.set_back("", Reason::Disk, format!("{error}; it is tried again"), true);
                report.is_stuck = true;
                Ok(false)
            }
        }
    }

    /// Steps that change what is remembered, and nothing else.
    async fn change_trees(
        &self,
        hood: &Neighbourhood,
        step: Step,
        trees: &mut StateBatch,
    ) -> StateResult<()> {
        match step {
            Step::Agree { node } => {
                if let Some(entry) = hood.remote.get(node) {
                    trees.synced.push(TreeChange::Put(node, entry.clone()));
                }
            }
            Step::Base { node, entry } => trees.synced.push(TreeChange::Put(node, entry)),
            Step::Forget { node } => trees.synced.push(TreeChange::RemoveNode(node)),
            Step::Adopt { local, remote, entry } => {
                self.flush(trees).await?;
                trees.rebind.push((local, remote));
                trees.synced.push(TreeChange::Put(remote, entry));
                self.flush(trees).await?;
            }
            Step::Rekey { node, fresh } => {
                self.flush(trees).await?;
                trees.rebind.push((node, fresh));
                trees.synced.push(TreeChange::RemoveNode(node));
                self.flush(trees).await?;
            }
            Step::NameForServer { node, name } => {
                self.flush(trees).await?;
                if let Some(mut row) = self.state.local(self.namespace, node).await? {
                    row.disk_name = Some(row.name_on_disk().to_owned());
                    row.entry.place.name = name;
                    trees.local.push(LocalChange::Put(row));
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn change_disk(
        &self,
        hood: &Neighbourhood,
        step: Step,
        staged: &Staged,
        report: &mut PassReport,
    ) -> EngineResult<()> {
        let is_naming = matches!(
            step,
            Step::RenameAside { .. } | Step::Move { .. } | Step::Replace { keep: Some(_), .. }
        );
        let (node, result) = match step {
            // Files come by way of the stage.
            Step::Create { node } => match hood.remote.get(node) {
                Some(entry) if entry.is_directory() => (node, self.applier.create_folder(node, entry).await),
                Some(entry) => (node, self.applier.place_link(node, entry).await),
                None => return Ok(()),
            },
            Step::Replace { node, keep } => match (hood.remote.get(node), staged.get(&node)) {
                (Some(entry), Some(name)) => (node, self.applier.replace_file(node, entry, name, keep).await),
                (Some(entry), None) => (node, self.applier.replace_link(node, entry, keep).await),
                (None, _) => return Ok(()),
            },
            Step::Move { node, place } => (node, self.applier.rename(node, &place).await),
            Step::RenameAside { node, name } => (node, self.applier.rename_aside(node, &name).await),
            Step::SetAttributes { node } => match hood.remote.get(node) {
                Some(entry) => (node, self.applier.set_attributes(node, entry).await),
                None => return Ok(()),
            },
            Step::Remove { node } => (node, self.applier.remove(node).await),
            _ => return Ok(()),
        };
        if is_naming {
            self.note_naming(&result);
        }
        self.judge(node, result, report).await
    }

    /// Counts names that were taken when they were to be given.
    fn note_naming(&self, result: &Result<(), ApplyError>) {
        match result {
            Ok(()) => self.names_taken.store(0, Ordering::Relaxed),
            Err(ApplyError::Changed { .. }) => {
                self.names_taken.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {}
        }
    }

    async fn place_arrivals(
        &self,
        arrivals: &mut Vec<Placement>,
        report: &mut PassReport,
    ) -> EngineResult<()> {
        if arrivals.is_empty() {
            return Ok(());
        }
        let nodes: Vec<NodeId> = arrivals.iter().map(|placement| placement.node).collect();
        let results = self.applier.place_files(std::mem::take(arrivals)).await;
        for (node, result) in nodes.into_iter().zip(results) {
            self.judge(node, result, report).await?;
        }
        Ok(())
    }

    /// Counts a step that was done; tells of one that was not, and what that calls for.
    async fn judge(
        &self,
        node: NodeId,
        result: Result<(), ApplyError>,
        report: &mut PassReport,
    ) -> EngineResult<()> {
        let error = match result {
            Ok(()) => {
                report.done += 1;
                return Ok(());
            }
            Err(ApplyError::State(error)) => return Err(error.into()),
            Err(error) => error,
        };
        let path = self.path_of(node).await?;
        let folder = path.parent().unwrap_or_default();
        match error {
            ApplyError::Changed { path } => self.clear_up(node, path, report).await?,
            // A look finds what is new in it; what is left after that is nothing that is synced.
            ApplyError::NotEmpty { .. } => {
                report.leave(&path.to_string());
                report.must_rescan(path);
            }
            ApplyError::Fs(error) if error.is_already_exists() || error.is_not_found() => {
                report.must_look(folder);
            }
            ApplyError::Fs(error) => {
                let (code, next_step) = if error.is_full() {
                    (Reason::DiskFull, "free some space; it is tried again")
                } else {
                    (
                        Reason::Disk,
                        "check the folder's permissions and the disk; it is tried again",
                    )
                };
                let message = format!("{error}: {}; {next_step}", error.source);
                report.set_back(&error.path.to_string(), code, message, true);
            }
            error => report.set_back(
                &path.to_string(),
                Reason::Disk,
                format!("{error}; it is tried again"),
                true,
            ),
        }
        if !report.is_stuck {
            // Before any other step, and before anything is downloaded.
            self.finish_intents(report).await?;
        }
        Ok(())
    }

    /// Leaves a note for `cairn activity`.
    async fn note(&self, step: &Step, notes: &mut usize) -> StateResult<()> {
        *notes += 1;
        if *notes > NOTES {
            return Ok(());
        }
        let (what, node) = match step {
            Step::Create { node } => ("created", *node),
            Step::Replace { node, keep: None } => ("updated", *node),
            Step::Replace { node, keep: Some(_) } => ("kept both versions", *node),
            Step::Move { node, .. } | Step::RenameAside { node, .. } => ("renamed", *node),
            Step::SetAttributes { node } => ("attributes", *node),
            Step::Remove { node } => ("removed", *node),
            _ => return Ok(()),
        };
        let path = self.path_of(node).await?.to_string();
        self.state
            .note_activity(self.runtime.clock.now(), what, &path)
            .await
    }
}

/// Whether a step changes only what is remembered.
const fn is_of_trees(step: &Step) -> bool {
    matches!(
        step,
        Step::Agree { .. }
            | Step::Base { .. }
            | Step::Forget { .. }
            | Step::Adopt { .. }
            | Step::Rekey { .. }
            | Step::NameForServer { .. }
    )
}
