//! A device with an applier and what the server says.

use std::sync::Arc;

use cairn_core::file_hasher::FileHasher;
use cairn_core::ids::NodeId;
use cairn_core::node::{Attributes, Place};
use cairn_core::rev::Seq;
use cairn_core::time::Mtime;
use cairn_core::tree::{Entry, Substance};

use crate::applier::{Applier, ApplyResult, LOOK_AGAIN_AFTER_MS};
use crate::fs::Filesystem;
use crate::fs::faulty::Fault;
use crate::fs::os::LinuxDisk;
use crate::fs::root::RootFilesystem;
use crate::fs::root::tests::weak::{Lacks, WeakDisk};
use crate::scanner::tests::fixture::{Device, name};
use crate::state::{ClientState, LocalRow, StateBatch, TreeChange};

/// An entry of the server's in the root; a folder until it is said what it holds.
pub(super) fn entry(text: &str) -> Entry {
    Entry {
        place: Place {
            parent: NodeId::ROOT,
            name: name(text),
        },
        substance: Substance::Directory,
        attributes: Attributes {
            mtime: Mtime {
                seconds: 1_000_000,
                nanos: 5,
            },
            executable: false,
        },
        place_seq: Seq::new(3).unwrap(),
        content_seq: Seq::new(4).unwrap(),
    }
}

pub(super) trait EntryExt {
    fn folder(self) -> Self;
    fn below(self, folder: NodeId) -> Self;
    fn holding(self, text: &str) -> Self;
    fn executable(self) -> Self;
}

impl EntryExt for Entry {
    fn folder(mut self) -> Self {
        self.attributes = Attributes::default();
        self
    }

    fn below(mut self, folder: NodeId) -> Self {
        self.place.parent = folder;
        self
    }

    fn holding(mut self, text: &str) -> Self {
        let mut hasher = FileHasher::new();
        hasher.update(text.as_bytes()).unwrap();
        let content = hasher.finish().unwrap().content;
        self.substance = Substance::File {
            file_id: content.file_id,
            size: content.size,
        };
        self
    }

    fn executable(mut self) -> Self {
        self.attributes.executable = true;
        self
    }
}

/// For [`Side::inject`]: of the two times that a swap renames in the stage the one after it.
pub(super) const LAST_RESTAGE: &str = "the last restage";

pub(super) struct Side {
    pub(super) device: Device,
}

impl Side {
    pub(super) fn new() -> Self {
        Self {
            device: Device::new(),
        }
    }

    /// A side without swaps, and its disk.
    pub(super) fn without_swaps() -> (Self, Arc<RootFilesystem<WeakDisk>>) {
        let folder = tempfile::tempdir().unwrap();
        let lacks = Lacks {
            exchange: true,
            ..Lacks::default()
        };
        let disk = WeakDisk::new(LinuxDisk::new(folder.path().to_owned()), lacks);
        let fs = Arc::new(RootFilesystem::new(disk).unwrap());
        let device = Device::over(folder, Arc::clone(&fs) as Arc<dyn Filesystem>);
        (Self { device }, fs)
    }

    pub(super) fn applier(&self) -> Arc<Applier> {
        let fs = Arc::clone(&self.device.fs) as Arc<dyn Filesystem>;
        let state = Arc::clone(&self.device.state) as Arc<dyn ClientState>;
        let runtime = self.device.runtime.clone();
        Arc::new(Applier::new(fs, state, runtime, self.device.namespace, "laptop"))
    }

    pub(super) fn node(&self) -> NodeId {
        NodeId::random(&*self.device.runtime.entropy)
    }

    /// Stages a finished file as the downloader does.
    pub(super) fn stage(&self, staged: &str, text: &str, entry: &Entry) {
        let mut file = self.device.fs.stage(staged).unwrap();
        file.write_at(0, text.as_bytes()).unwrap();
        file.finish(
            text.len() as u64,
            entry.attributes.executable,
            entry.attributes.mtime,
        )
        .unwrap();
    }

    /// A file that is in sync.
    pub(super) async fn synced_file(&self, path: &str, text: &str) -> (NodeId, Entry) {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.device.folder(folder);
        }
        self.device.write(path, text);
        self.device.scan().await;
        let row = self.device.row(path).await;
        let mut remote = row.entry.clone();
        remote.place_seq = Seq::new(1).unwrap();
        remote.content_seq = Seq::new(1).unwrap();
        let put = || vec![TreeChange::Put(row.node, remote.clone())];
        self.apply(StateBatch {
            remote: put(),
            synced: put(),
            ..StateBatch::default()
        })
        .await;
        (row.node, remote)
    }

    pub(super) async fn set_remote(&self, node: NodeId, entry: Entry) {
        self.apply(StateBatch {
            remote: vec![TreeChange::Put(node, entry)],
            ..StateBatch::default()
        })
        .await;
    }

    async fn apply(&self, batch: StateBatch) {
        self.device
            .state
            .apply(self.device.namespace, batch)
            .await
            .unwrap();
    }

    pub(super) async fn synced(&self, node: NodeId) -> Option<Entry> {
        self.device
            .state
            .synced(self.device.namespace, node)
            .await
            .unwrap()
    }

    pub(super) async fn local(&self, node: NodeId) -> LocalRow {
        self.device
            .state
            .local(self.device.namespace, node)
            .await
            .unwrap()
            .unwrap()
    }

    /// The names of what waits for a second look.
    pub(super) async fn waiting(&self) -> Vec<String> {
        let waiting = self.device.state.displaced(self.device.namespace, 100).await;
        let mut names: Vec<String> = waiting.unwrap().into_iter().map(|row| row.staged).collect();
        names.sort_unstable();
        names
    }

    /// Lets ten minutes pass and looks again at what was displaced; the copies that were made.
    pub(super) async fn look_again_later(&self) -> Vec<String> {
        let later = self.device.runtime.clock.now().plus_millis(LOOK_AGAIN_AFTER_MS);
        self.device.set_clock_ms(later.as_millis());
        let copies = self.applier().look_again().await.unwrap();
        copies.iter().map(ToString::to_string).collect()
    }

    /// Nothing is staged but what waits for a second look, and nothing is intended.
    pub(super) async fn assert_settled(&self) {
        assert_eq!(self.device.fs.staged_names().unwrap(), self.waiting().await);
        assert_eq!(
            self.device.state.intents(self.device.namespace).await.unwrap(),
            Vec::new()
        );
    }

    /// Lets a call of the disk go wrong.
    pub(super) fn inject(&self, call: &'static str, fault: Fault) {
        let is_last = call == LAST_RESTAGE;
        if is_last {
            self.device.fs.inject("restage", Fault::Hook(Box::new(|| {})));
        }
        self.device
            .fs
            .inject(if is_last { "restage" } else { call }, fault);
    }

    /// The path of the one thing that is staged.
    pub(super) fn staged_path(&self) -> std::path::PathBuf {
        let names = self.device.fs.staged_names().unwrap();
        assert_eq!(names.len(), 1, "{names:?}");
        self.device.path(".cairn/stage").join(&names[0])
    }

    /// As if the state were of before the step that a crash has cut.
    pub(super) async fn forget_intents(&self) {
        let intents = self.device.state.intents(self.device.namespace).await.unwrap();
        self.apply(StateBatch {
            done_intents: intents.into_iter().map(|intent| intent.staged).collect(),
            ..StateBatch::default()
        })
        .await;
    }

    /// Runs a step that the process does not survive.
    pub(super) async fn dies<F>(&self, step: impl FnOnce(Arc<Applier>) -> F)
    where
        F: Future<Output = ApplyResult<()>> + Send + 'static,
    {
        let died = tokio::spawn(step(self.applier())).await;
        assert!(died.is_err_and(|error| error.is_panic()));
    }

    /// The text of every file below the root, trash and stage included.
    pub(super) fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut folders = vec![self.device.path("")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if let Ok(text) = std::fs::read_to_string(entry.path()) {
                    texts.push(text);
                }
            }
        }
        texts
    }
}
