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
        let below = format!("{path}/");
        self.items
            .retain(|other, _| *other != path && !other.starts_with(&below));
    }

    /// What stands at a path, and all below it, stands at another one, in place of what stood there.
    pub fn rename(&mut self, from: &str, to: &str) {
        let (from, to) = (composed(from), composed(to));
        if from == to {
            return;
        }
        let below = format!("{from}/");
        let (moved, kept): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.items)
            .into_iter()
            .partition(|(path, _)| *path == from || path.starts_with(&below));
        self.items = kept;
        self.remove(&to);
        for (path, item) in moved {
            self.items.insert(format!("{to}{}", &path[from.len()..]), item);
        }
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
