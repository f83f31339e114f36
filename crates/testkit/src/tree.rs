//! What is in a folder, to the last bit that Cairn keeps, and where two folders differ.

mod awkward;
mod realistic;

pub use awkward::awkward_names;
pub use realistic::{Shape, long_file, realistic};

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use blake3::{Hash, Hasher};

use crate::device::Device;

/// Differences that are printed; the rest is counted.
const SHOWN: usize = 30;

/// One thing in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A folder; its times and permissions are not kept.
    Folder,
    /// A file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
        /// Seconds and nanoseconds of its modification time.
        mtime: (i64, i64),
        /// Bytes.
        size: u64,
        /// BLAKE3 of its content.
        hash: Hash,
    },
    /// A symbolic link and what it says.
    Link(PathBuf),
    /// Anything else, which no folder should show.
    Other,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("folder"),
            Self::File {
                executable,
                mtime: (seconds, nanos),
                size,
                hash,
            } => {
                let mode = if *executable { "x" } else { "-" };
                write!(
                    f,
                    "file {mode} {seconds}.{nanos:09} {size} B {}",
                    &hash.to_hex()[..12]
                )
            }
            Self::Link(target) => write!(f, "link to {target:?}"),
            Self::Other => f.write_str("neither file, folder nor link"),
        }
    }
}

/// Everything below a folder, without `.cairn`, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing(BTreeMap<PathBuf, Item>);

impl Listing {
    /// Reads a folder and every file in it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn of(root: &Path) -> Result<Self> {
        let mut items = BTreeMap::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let dir = root.join(&folder);
            let entries = fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))?;
            for entry in entries {
                let name: OsString = entry?.file_name();
                if folder.as_os_str().is_empty() && name == ".cairn" {
                    continue;
                }
                let path = folder.join(name);
                let item = Item::at(&root.join(&path))?;
                if item == Item::Folder {
                    folders.push(path.clone());
                }
                items.insert(path, item);
            }
        }
        Ok(Self(items))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many of them are files, and their bytes.
    pub fn files(&self) -> (usize, u64) {
        let sizes = self.0.values().filter_map(|item| match item {
            Item::File { size, .. } => Some(*size),
            _ => None,
        });
        sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
    }

    /// What is at a path.
    pub fn get(&self, path: impl AsRef<Path>) -> Option<&Item> {
        self.0.get(path.as_ref())
    }

    /// All paths as text, sorted; bytes that are no text are shown as question marks.
    pub fn paths(&self) -> Vec<String> {
        self.0
            .keys()
            .map(|path| path.to_string_lossy().into_owned())
            .collect()
    }

    /// The paths whose last part satisfies `wanted`.
    pub fn named(&self, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let is_wanted = |path: &&PathBuf| {
            path.file_name()
                .is_some_and(|name| wanted(&name.to_string_lossy()))
        };
        self.0.keys().filter(is_wanted).cloned().collect()
    }

    /// Whether some file has this content.
    pub fn holds(&self, content: &Hash) -> bool {
        self.contents().contains(content)
    }

    /// The contents of all files.
    pub fn contents(&self) -> HashSet<Hash> {
        let hashes = self.0.values().filter_map(|item| match item {
            Item::File { hash, .. } => Some(*hash),
            _ => None,
        });
        hashes.collect()
    }

    /// One line for each path where the two differ; `-` what only this one has, `+` what only the other has.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, mine) in &self.0 {
            match other.0.get(path) {
                None => lines.push(format!("- {path:?}: {mine}")),
                Some(theirs) if theirs != mine => lines.push(format!("~ {path:?}: {mine} | {theirs}")),
                Some(_) => {}
            }
        }
        let only_theirs = other.0.iter().filter(|(path, _)| !self.0.contains_key(*path));
        lines.extend(only_theirs.map(|(path, theirs)| format!("+ {path:?}: {theirs}")));
        lines
    }

    /// Succeeds when both are the same.
    ///
    /// # Errors
    /// Where they differ.
    pub fn same_as(&self, other: &Self) -> Result<()> {
        let lines = self.differences(other);
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = format!("{} differences", lines.len());
        for line in lines.iter().take(SHOWN) {
            write!(text, "\n{line}")?;
        }
        bail!("{text}")
    }
}

impl Item {
    fn at(path: &Path) -> Result<Self> {
        let metadata = path
            .symlink_metadata()
            .with_context(|| format!("cannot look at {}", path.display()))?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            return Ok(Self::Folder);
        }
        if kind.is_symlink() {
            return Ok(Self::Link(fs::read_link(path)?));
        }
        if !kind.is_file() {
            return Ok(Self::Other);
        }
        Ok(Self::File {
            executable: metadata.permissions().mode() & 0o100 != 0,
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.len(),
            hash: hash_file(path)?,
        })
    }
}

/// The hash of a file's content, read in pieces.
///
/// # Errors
/// Those of the file system.
pub fn hash_file(path: &Path) -> Result<Hash> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = Hasher::new();
    hasher
        .update_reader(file)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hasher.finalize())
}

/// Succeeds when the folders of two devices hold the same, and nothing is left over from putting files together.
///
/// # Errors
/// Where they differ.
pub fn assert_same(a: &Device, b: &Device) -> Result<Listing> {
    let listing = a.listing()?;
    listing
        .same_as(&b.listing()?)
        .with_context(|| format!("{} (-) and {} (+) differ", a.name(), b.name()))?;
    for device in [a, b] {
        let staged = device.staged()?;
        if !staged.is_empty() {
            bail!("{}: left in .cairn/stage: {staged:?}", device.name());
        }
    }
    Ok(listing)
}
