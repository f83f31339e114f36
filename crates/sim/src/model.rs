//! A second, naive model of a file system: a map from paths to what stands there.
//!
//! In a run of turns it hears what the one user did, and says what must be on every disk and on the server when all has
//! settled. It knows nothing of syncing.

use std::collections::{BTreeMap, BTreeSet};

use cairn_core::ids::FileId;
use cairn_core::name::NodeName;
use unicode_normalization::UnicodeNormalization;

use crate::tree::{Closeness, Item, Tree};

/// The map.
#[derive(Debug, Clone, Default)]
pub struct Model {
    items: BTreeMap<String, Item>,
    /// What was written to files of which a device had displaced another name.
    written_to_displaced: BTreeSet<FileId>,
    /// Where something was made or written since all were at rest.
    fresh: BTreeSet<String>,
    /// Where something was taken away that was fresh.
    taken_fresh: BTreeSet<String>,
    /// Whether a device lost its power since all were at rest.
    lost_power: bool,
}

impl Model {
    /// Something stands at a path from now on, in place of what stood there.
    pub fn put(&mut self, path: &str, mut item: Item) {
        let path = composed(path);
        if let Item::File { executable, .. } = &mut item
            && matches!(self.items.get(&path), Some(Item::File { executable: None, .. }))
        {
            *executable = None;
        }
        self.fresh.insert(path.clone());
        self.items.insert(path, item);
    }

    /// A file has another name on one disk. To all others these are two files; but when one of them gets an attribute
    /// there, the disk that has them as one gives it to both. So nothing is promised of the attributes from now on.
    pub fn shares_attributes(&mut self, path: &str) {
        if let Some(Item::File { executable, .. }) = self.items.get_mut(&composed(path)) {
            *executable = None;
        }
    }

    /// A file was written to, of which a device had displaced another name. When all other names are gone by its second look,
    /// the device cannot tell this from a write to the name that was displaced: it may keep what was written as a copy.
    pub fn may_be_kept(&mut self, content: FileId) {
        self.written_to_displaced.insert(content);
    }

    /// What stands at a path, and all below it, is gone.
    pub fn remove(&mut self, path: &str) {
        let path = composed(path);
        self.leave(&path);
        self.items.retain(|other, _| !is_within(other, &path));
    }

    /// Something is no longer at a path, nor anything below it.
    fn leave(&mut self, path: &str) {
        let taken = self.fresh.extract_if(.., |other| is_within(other, path));
        self.taken_fresh.extend(taken);
    }

    /// A device lost its power. What was being sent then and is gone afterwards it cannot tell from what the disk forgot: what was
    /// taken away right after it was made may come back.
    pub fn lost_power(&mut self) {
        self.lost_power = true;
    }

    /// All are at rest, with this tree: what came back is there to stay.
    pub fn is_at_rest(&mut self, tree: &Tree) {
        let back: Vec<(String, Item)> = self.come_back(tree).collect();
        self.items.extend(back);
        self.fresh.clear();
        self.taken_fresh.clear();
        self.lost_power = false;
    }

    /// What stands in a tree again after a loss of power, and may.
    fn come_back<'a>(&'a self, tree: &'a Tree) -> impl Iterator<Item = (String, Item)> + 'a {
        let all = tree.0.iter().filter(|_| self.lost_power);
        all.map(|(path, item)| (composed(path), item.clone()))
            .filter(|(path, _)| self.taken_fresh.contains(path) && !self.items.contains_key(path))
    }

    /// What stands at a path, and all below it, stands at another one, in place of what stood there.
    pub fn rename(&mut self, from: &str, to: &str) {
        let (from, to) = (composed(from), composed(to));
        if from == to {
            return;
        }
        let (moved, kept): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.items)
            .into_iter()
            .partition(|(path, _)| is_within(path, &from));
        self.items = kept;
        self.remove(&to);
        self.leave(&from);
        let renamed = |path: &str| format!("{to}{}", &path[from.len()..]);
        let taken = self.taken_fresh.iter().filter(|path| is_within(path, &from));
        let taken: Vec<String> = taken.map(|path| renamed(path)).collect();
        self.taken_fresh.extend(taken);
        for (path, item) in moved {
            if self.taken_fresh.contains(&path) {
                self.fresh.insert(renamed(&path));
            }
            self.items.insert(renamed(&path), item);
        }
        // Where another file has come to its old place, this one may count as new.
        self.fresh.insert(to);
    }

    /// Whether something other than `but` has a name in this folder that is the same to the server.
    pub fn has_namesake(&self, path: &str, but: Option<&str>) -> bool {
        let path = composed(path);
        let but = but.map(composed);
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        self.items.keys().any(|other| {
            let (other_folder, other_name) = other.rsplit_once('/').unwrap_or(("", other));
            other_folder == folder && but.as_deref() != Some(other.as_str()) && key(other_name) == key(name)
        })
    }

    /// Where a tree is not as the model says.
    pub fn differences(&self, tree: &Tree, compares_exec: bool) -> Vec<String> {
        let mut expected = Tree(self.items.clone());
        expected.0.extend(self.come_back(tree));
        for (path, item) in &tree.0 {
            if self.is_kept(path, item) {
                expected.0.entry(path.clone()).or_insert_with(|| item.clone());
            }
        }
        if !compares_exec {
            for item in expected.0.values_mut() {
                if let Item::File { executable, .. } = item {
                    *executable = None;
                }
            }
        }
        let closeness = Closeness {
            ignores_form: true,
            mtime_step_ns: None,
        };
        expected.differences(tree, closeness)
    }

    fn is_kept(&self, path: &str, item: &Item) -> bool {
        let is_copy = path.contains(" (conflict, ");
        is_copy && matches!(item, Item::File { content, .. } if self.written_to_displaced.contains(content))
    }
}

/// Whether a path is that of a folder or below it.
fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn composed(path: &str) -> String {
    path.nfc().collect()
}

fn key(name: &str) -> Option<String> {
    Some(NodeName::new(name).ok()?.key().as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_folder_takes_along_what_is_in_it_and_nothing_else() {
        let mut model = Model::default();
        for path in ["d", "d/x", "dd", "e"] {
            model.put(path, Item::Folder);
        }
        model.rename("d", "e");
        let paths: Vec<&String> = model.items.keys().collect();
        assert_eq!(paths, ["dd", "e", "e/x"]);
        assert!(model.has_namesake("DD", None));
        assert!(!model.has_namesake("DD", Some("dd")));
    }

    fn file(executable: Option<bool>) -> Item {
        Item::File {
            content: FileId::new([1; 32]),
            size: 1,
            executable,
            mtime_ns: 0,
        }
    }

    #[test]
    fn a_copy_is_expected_only_of_what_was_written_to_a_displaced_file() {
        let path = "a (conflict, device 0, 2026-11-21)";
        let copy = Tree([(path.to_owned(), file(None))].into());
        let mut model = Model::default();
        assert_eq!(model.differences(&copy, true).len(), 1);
        model.may_be_kept(FileId::new([1; 32]));
        assert_eq!(model.differences(&copy, true), Vec::<String>::new());
        let other = Tree([("b".to_owned(), file(None))].into());
        assert_eq!(model.differences(&other, true).len(), 1);
    }

    #[test]
    fn what_was_taken_away_right_after_it_was_made_may_come_back_with_the_power_and_stays_then() {
        let found = Tree(
            ["d", "e", "e/new", "e/old"]
                .map(|path| (path.to_owned(), file(None)))
                .into(),
        );
        let mut model = Model::default();
        model.put("d", file(None));
        model.put("d/old", file(None));
        model.is_at_rest(&found);
        model.put("d/new", file(None));
        model.remove("d/new");
        model.remove("d/old");
        model.rename("d", "e");
        let unexpected = |model: &Model| model.differences(&found, true).len();
        assert_eq!(unexpected(&model), 3, "no power was lost");
        model.lost_power();
        assert_eq!(unexpected(&model), 2, "{:?}", model.differences(&found, true));
        model.is_at_rest(&found);
        assert_eq!(unexpected(&model), 2);
        model.remove("e/new");
        model.lost_power();
        assert_eq!(unexpected(&model), 3, "it was made long ago");
    }

    #[test]
    fn a_file_with_two_names_promises_no_attributes() {
        let mut model = Model::default();
        model.put("a", file(Some(true)));
        let other = Tree([("a".to_owned(), file(Some(false)))].into());
        assert_eq!(model.differences(&other, true).len(), 1);
        model.shares_attributes("a");
        model.put("a", file(Some(true)));
        assert_eq!(model.differences(&other, true), Vec::<String>::new());
    }
}
