//! What stands on a disk or on the server, and where two such trees differ.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use cairn_core::ids::FileId;
use cairn_core::name::NodeName;
use unicode_normalization::UnicodeNormalization;

/// What a conflict of names adds to the name on the server, while the name on the disk stays.
const CASE_SUFFIX: &str = " (case conflict";
/// Differences that are printed.
const SHOWN: usize = 12;

/// One thing in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// The name of its bytes.
        content: FileId,
        /// Bytes.
        size: u64,
        /// Whether it may be executed; `None` where that is not kept.
        executable: Option<bool>,
        /// Modification time in nanoseconds since 1970.
        mtime_ns: i128,
    },
    /// A symbolic link and what it says.
    Link(String),
}

/// Everything below a root, by its path with slashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<String, Item>);

/// How closely two trees must be equal.
#[derive(Debug, Clone, Copy)]
pub struct Closeness {
    /// Whether names in another normal form are the same.
    pub ignores_form: bool,
    /// The coarsest step of modification times, in nanoseconds; `None` does not compare them.
    pub mtime_step_ns: Option<u64>,
}

impl Tree {
    /// The contents of all files.
    pub fn contents(&self) -> BTreeSet<FileId> {
        self.files().map(|(_, content)| content).collect()
    }

    /// Every file with the name of its bytes.
    pub fn files(&self) -> impl Iterator<Item = (&str, FileId)> {
        self.0.iter().filter_map(|(path, item)| match item {
            Item::File { content, .. } => Some((path.as_str(), *content)),
            Item::Folder | Item::Link(_) => None,
        })
    }

    /// The paths whose last name is that of a conflicted copy.
    pub fn conflicted_copies(&self) -> Vec<&str> {
        let is_copy = |path: &&String| {
            let name = path.rsplit('/').next().unwrap_or_default();
            name.contains("(conflict, ")
        };
        self.0.keys().filter(is_copy).map(String::as_str).collect()
    }

    /// Where the two differ, for people; empty when they are equal. A name that has another one on the server counts as
    /// equal to that.
    pub fn differences(&self, other: &Self, closeness: Closeness) -> Vec<String> {
        let (mine, theirs) = (self.canonical(closeness), other.canonical(closeness));
        let mut lines = Vec::new();
        let paths: BTreeSet<&String> = mine.keys().chain(theirs.keys()).collect();
        for path in paths {
            let none = Vec::new();
            let (here, there) = (mine.get(path).unwrap_or(&none), theirs.get(path).unwrap_or(&none));
            if !same_items(here, there, closeness) && lines.len() < SHOWN {
                lines.push(format!("{path:?}: {} | {}", shown(here), shown(there)));
            }
        }
        lines
    }

    /// The items by canonical path: several where names of one key stand in a folder.
    fn canonical(&self, closeness: Closeness) -> BTreeMap<String, Vec<&Item>> {
        let mut crowded: HashMap<(&str, String), u32> = HashMap::new();
        for path in self.0.keys() {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            *crowded.entry((folder, key(&plain(name)))).or_default() += 1;
        }
        let mut canonical: BTreeMap<String, Vec<&Item>> = BTreeMap::new();
        for (path, item) in &self.0 {
            let mut shown = String::new();
            let mut end = 0;
            for name in path.split('/') {
                let folder = if end == 0 { "" } else { &path[..end - 1] };
                let plain = plain(name);
                let key = key(&plain);
                let is_alone = crowded.get(&(folder, key.clone())).is_none_or(|count| *count < 2);
                if end > 0 {
                    shown.push('/');
                }
                shown.push_str(&match (is_alone, closeness.ignores_form) {
                    (true, false) => plain,
                    (true, true) => plain.nfc().collect(),
                    (false, _) => key,
                });
                end += name.len() + 1;
            }
            canonical.entry(shown).or_default().push(item);
        }
        canonical
    }
}

/// The name without what conflicts of names added, each time that there was one.
fn plain(name: &str) -> String {
    let mut plain = name.to_owned();
    while let Some(start) = plain.find(CASE_SUFFIX)
        && let Some(length) = plain[start..].find(')')
    {
        plain.replace_range(start..=start + length, "");
    }
    plain
}

fn key(name: &str) -> String {
    NodeName::new(name).map_or_else(|_refused| name.to_owned(), |name| name.key().as_str().to_owned())
}

/// Whether the two hold the same, in any order. Times are close, not equal, so one item may fit several: each way to pair
/// them is tried.
fn same_items(here: &[&Item], there: &[&Item], closeness: Closeness) -> bool {
    let Some((first, rest)) = here.split_first() else {
        return there.is_empty();
    };
    here.len() == there.len()
        && (0..there.len()).any(|index| {
            let mut left = there.to_vec();
            same(first, left.swap_remove(index), closeness) && same_items(rest, &left, closeness)
        })
}

fn same(one: &Item, other: &Item, closeness: Closeness) -> bool {
    let (
        Item::File {
            content,
            size,
            executable,
            mtime_ns,
        },
        Item::File {
            content: other_content,
            size: other_size,
            executable: other_executable,
            mtime_ns: other_mtime,
        },
    ) = (one, other)
    else {
        return one == other;
    };
    let same_exec = match (executable, other_executable) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    let same_mtime = closeness
        .mtime_step_ns
        .is_none_or(|step| (mtime_ns - other_mtime).unsigned_abs() < u128::from(step.max(1)));
    content == other_content && size == other_size && same_exec && same_mtime
}

fn shown(items: &[&Item]) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    let all: Vec<String> = items.iter().map(ToString::to_string).collect();
    all.join(" and ")
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("folder"),
            Self::Link(target) => write!(f, "link to {target:?}"),
            Self::File {
                content,
                size,
                executable,
                mtime_ns,
            } => {
                let exec = match executable {
                    Some(true) => " executable",
                    Some(false) => "",
                    None => " (no exec bit)",
                };
                let content = content.to_string();
                write!(
                    f,
                    "file of {size} bytes {} at {mtime_ns}{exec}",
                    content.get(..8).unwrap_or(&content)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXACT: Closeness = Closeness {
        ignores_form: false,
        mtime_step_ns: Some(1),
    };

    fn tree(paths: &[&str]) -> Tree {
        Tree(
            paths
                .iter()
                .map(|path| ((*path).to_owned(), Item::Folder))
                .collect(),
        )
    }

    #[test]
    fn a_name_that_only_the_server_has_is_the_same() {
        let device = tree(&["A", "a", "a/x"]);
        let server = tree(&["A (case conflict)", "a", "a/x"]);
        assert_eq!(device.differences(&server, EXACT), Vec::<String>::new());
        // Also when the other of the two is gone.
        assert_eq!(
            tree(&["A"]).differences(&tree(&["A (case conflict)"]), EXACT),
            Vec::<String>::new()
        );
    }

    #[test]
    fn twins_that_are_close_are_paired_as_they_fit() {
        let file = |mtime_ms: i128| Item::File {
            content: FileId::new([1; 32]),
            size: 13,
            executable: None,
            mtime_ns: mtime_ms * 1_000_000,
        };
        let tree = |times: [i128; 2]| {
            let names = ["e\u{301}", "\u{e9}"].map(str::to_owned);
            Tree(names.into_iter().zip(times.map(file)).collect())
        };
        let closeness = Closeness {
            ignores_form: true,
            mtime_step_ns: Some(1_000_000_000),
        };
        let server = tree([12_904, 13_019]);
        let none = Vec::<String>::new();
        assert_eq!(tree([13_000, 12_000]).differences(&server, closeness), none);
        assert_eq!(tree([12_000, 13_000]).differences(&server, closeness), none);
        assert_eq!(tree([12_000, 12_000]).differences(&server, closeness).len(), 1);
    }

    #[test]
    fn another_case_alone_is_a_difference() {
        assert_eq!(tree(&["A"]).differences(&tree(&["a"]), EXACT).len(), 2);
        assert_eq!(tree(&["d/x"]).differences(&tree(&["d/x", "d/y"]), EXACT).len(), 1);
    }
}
