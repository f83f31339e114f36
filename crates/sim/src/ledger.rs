//! What users wrote, and what became of it: the record against which a run is judged when several users act at once.
//!
//! Every content is written once, so that its name stands for it. What nobody took away and no disk lost must be in a file
//! of every device at the end; what was agreed upon and then taken away must be in the server's history.

use std::collections::{BTreeMap, BTreeSet};

use cairn_core::ids::FileId;

/// One content.
#[derive(Debug, Clone)]
pub struct Written {
    /// The step that wrote it.
    pub step: u64,
    /// On which device.
    pub device: usize,
    /// Where.
    pub path: String,
    /// A user overwrote or deleted a file that held it.
    pub is_taken: bool,
    /// A disk forgot it with the power before it was written out.
    pub is_lost: bool,
    /// It stood on all devices and the server at once.
    pub is_agreed: bool,
}

/// All contents.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    contents: BTreeMap<FileId, Written>,
}

impl Ledger {
    /// A user wrote this and finished writing. What is written again counts once: whoever took a twin away may have met
    /// the other one, so nothing of it is promised any more.
    pub fn written(&mut self, content: FileId, step: u64, device: usize, path: &str) {
        self.contents.entry(content).or_insert_with(|| Written {
            step,
            device,
            path: path.to_owned(),
            is_taken: false,
            is_lost: false,
            is_agreed: false,
        });
    }

    /// A user took away a file that held this. Other files may hold it still; nobody promised them.
    pub fn taken(&mut self, content: FileId) {
        if let Some(written) = self.contents.get_mut(&content) {
            written.is_taken = true;
        }
    }

    /// A disk forgot a file that held this.
    pub fn lost(&mut self, content: FileId) {
        if let Some(written) = self.contents.get_mut(&content) {
            written.is_lost = true;
        }
    }

    /// A device has this in its trash alone, unless others have it too.
    pub fn set_aside(&mut self, content: FileId) {
        if let Some(written) = self.contents.get_mut(&content) {
            written.is_lost |= !written.is_agreed;
        }
    }

    /// Everybody had these at once.
    pub fn agreed(&mut self, contents: &BTreeSet<FileId>) {
        for (content, written) in &mut self.contents {
            if contents.contains(content) {
                written.is_agreed = true;
            }
        }
    }

    /// A server or a device goes back in time: what was agreed may be asked for again, what is in the history now may not
    /// be there afterwards.
    pub fn forget_agreements(&mut self) {
        for written in self.contents.values_mut() {
            written.is_agreed = false;
        }
    }

    /// What must be in every tree.
    pub fn must_stand(&self) -> impl Iterator<Item = (FileId, &Written)> {
        self.contents
            .iter()
            .filter(|(_, written)| !written.is_taken && !written.is_lost)
            .map(|(content, written)| (*content, written))
    }

    /// What must be in the server's history.
    pub fn must_be_remembered(&self) -> impl Iterator<Item = (FileId, &Written)> {
        self.contents
            .iter()
            .filter(|(_, written)| written.is_agreed)
            .map(|(content, written)| (*content, written))
    }

    /// How many contents there are.
    pub fn len(&self) -> usize {
        self.contents.len()
    }

    /// Whether nobody wrote anything.
    pub fn is_empty(&self) -> bool {
        self.contents.is_empty()
    }
}
