//! Users at work: what an action of a script does to a disk, told to the model and to the ledger as it happens.

mod hand;
mod save;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use hand::{Hand, ns_of, tree_of};

use crate::content;
use crate::ledger::Ledger;
use crate::model::Model;
use crate::script::{Action, Name, Ref};
use crate::tree::Item;

/// What is known of all that users did.
#[derive(Debug, Default)]
pub struct Notes {
    /// Every content.
    pub ledger: Ledger,
    /// What must stand where, in a run of turns.
    pub model: Option<Model>,
    /// Things that users made, an upper bound for what there can be.
    pub made: u64,
}

/// Notes that all users share.
pub type SharedNotes = Arc<Mutex<Notes>>;

/// Opens the notes.
pub fn open(notes: &SharedNotes) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is left of an action that takes its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    /// Milliseconds from the piece before.
    pub pause_ms: u64,
    /// What is done then.
    pub piece: Piece,
}

/// A piece of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Writes behind the end of a file.
    Append {
        /// The file.
        path: String,
        /// The bytes.
        bytes: Vec<u8>,
        /// Whether the user is done with the file.
        is_last: bool,
    },
    /// Renames.
    Rename {
        /// What.
        from: String,
        /// To what.
        to: String,
    },
    /// Removes a file.
    Remove {
        /// The file.
        path: String,
    },
}

impl Hand {
    /// Does an action; returns what is still to be done, in its order.
    pub fn act(&mut self, step: u64, action: &Action) -> Vec<Later> {
        self.begin(step);
        // What is done in the place of a volume that is away is no part of this story.
        if !self.has_disk() {
            return Vec::new();
        }
        let later = self.do_action(action).unwrap_or_default();
        if later.is_empty() {
            self.end();
        }
        later
    }

    /// Does a piece of an action that was begun.
    pub fn go_on(&mut self, step: u64, piece: &Piece, is_end: bool) {
        self.begin(step);
        if !self.has_disk() {
            return;
        }
        match piece {
            Piece::Append { path, bytes, is_last } => {
                // Something else may stand there by now: it is written to as it is.
                self.take(path);
                if self.append(path, bytes).is_some() && *is_last {
                    self.finish(path);
                }
            }
            Piece::Rename { from, to } => {
                self.rename(from, to);
            }
            Piece::Remove { path } => {
                self.unlink(path);
            }
        }
        if is_end {
            self.end();
        }
    }

    /// `None` when there was nothing to do it with.
    fn do_action(&mut self, action: &Action) -> Option<Vec<Later>> {
        match action {
            Action::New { folder, name, size } => {
                let path = self.new_path(folder, name)?;
                let bytes = self.bytes(0, *size);
                self.write_new(&path, &bytes)?;
            }
            Action::Twin {
                folder,
                name,
                content: number,
            } => {
                let path = self.new_path(folder, name)?;
                self.write_new(&path, &content::twin(*number))?;
            }
            Action::MakeFolder { folder, name } => {
                let path = self.new_path(folder, name)?;
                self.make_folder(&path)?;
            }
            Action::Symlink { folder, name, target } => {
                let path = self.new_path(folder, name)?;
                self.symlink(&path, &target.0)?;
            }
            Action::HardLink { file, folder, name } => {
                let from = self.file(file)?;
                let to = self.new_path(folder, name)?;
                self.link(&from, &to)?;
            }
            Action::Many { folder, name, count } => {
                let path = self.new_path(folder, name)?;
                self.make_folder(&path)?;
                for number in 0..*count {
                    let bytes = self.bytes(number, 20);
                    self.write_new(&format!("{path}/file {number}"), &bytes)?;
                }
            }
            Action::Sync {} => self.sync_all(),
            _ => return self.do_change(action),
        }
        Some(Vec::new())
    }

    /// The actions on something that is there.
    fn do_change(&mut self, action: &Action) -> Option<Vec<Later>> {
        match action {
            Action::Remove { file } => {
                let path = self.file(file)?;
                self.unlink(&path)?;
            }
            Action::RemoveTree { folder } => {
                let path = self.folder_below_root(folder)?;
                self.remove_tree(&path)?;
            }
            Action::FileToFolder { file, size } => {
                let path = self.file(file)?;
                self.unlink(&path)?;
                self.make_folder(&path)?;
                let bytes = self.bytes(0, *size);
                self.write_new(&format!("{path}/inside"), &bytes)?;
            }
            Action::FolderToFile { folder, size } => {
                let path = self.folder_below_root(folder)?;
                self.remove_tree(&path)?;
                let bytes = self.bytes(0, *size);
                self.write_new(&path, &bytes)?;
            }
            Action::Exec { file } => {
                let path = self.regular_file(file)?;
                let Item::File { executable, .. } = self.item(&path)? else {
                    return None;
                };
                self.set_executable(&path, !executable?)?;
            }
            Action::Touch { file, mtime_ns } => {
                let path = self.regular_file(file)?;
                self.set_mtime(&path, i128::from(*mtime_ns))?;
            }
            Action::Rename { node, name } => {
                let from = self.node(node)?;
                let to = sibling(&from, &name.0);
                self.move_to(&from, &to)?;
            }
            Action::Move { node, folder } => {
                let from = self.node(node)?;
                let folder = self.folder(folder)?;
                let name = from.rsplit('/').next().unwrap_or(&from);
                let to = join(&folder, name);
                self.move_to(&from, &to)?;
            }
            Action::MoveOver { from, over } => {
                let (from, over) = (self.file(from)?, self.file(over)?);
                self.rename_over(&from, &over)?;
            }
            Action::Swap { one, other } => {
                let (one, other) = (self.node(one)?, self.node(other)?);
                self.swap(&one, &other)?;
            }
            Action::CaseRename { node } => {
                let from = self.node(node)?;
                self.move_to(&from, &sibling(&from, &other_case(name_in(&from))))?;
            }
            Action::FormRename { node } => {
                let from = self.node(node)?;
                self.move_to(&from, &sibling(&from, &other_form(name_in(&from))))?;
            }
            _ => return self.do_save(action),
        }
        Some(Vec::new())
    }

    /// A path at which something new is to stand; `None` when nobody may be there.
    fn new_path(&self, folder: &Ref, name: &Name) -> Option<String> {
        let path = join(&self.folder(folder)?, &name.0);
        self.is_free(&path, None).then_some(path)
    }
}

pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

fn name_in(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn sibling(path: &str, name: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, _)) => join(folder, name),
        None => name.to_owned(),
    }
}

/// ASCII letters only: those of other scripts may change their number.
fn other_case(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if upper == name {
        name.to_ascii_lowercase()
    } else {
        upper
    }
}

fn other_form(name: &str) -> String {
    use unicode_normalization::UnicodeNormalization;

    let composed: String = name.nfc().collect();
    if composed == name {
        name.nfd().collect()
    } else {
        composed
    }
}
