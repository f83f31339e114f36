//! The rules that hold in a folder: those of the files in it and above it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use blake3::Hash;
use cairn_core::node::NodeKind;
use cairn_core::time::Timestamp;

use super::rules::{BadLine, IgnoreRules, Verdict};
use super::{IGNORE_FILE, is_ignored};
use crate::fs::{DiskPath, FileKind, Filesystem, Fingerprint, FsError, FsResult, Metadata, OWN_FOLDER};
use crate::scanner::content::is_unsure;
use crate::scanner::report::ProblemReason;

/// Bytes of one file of rules.
const FILE_BYTES: usize = 1024 * 1024;
/// Folders whose rules are remembered between passes, and bytes of their texts. Beyond it all are forgotten and read
/// again.
const REMEMBERED: usize = 1_024;
const REMEMBERED_BYTES: usize = 8 * 1024 * 1024;

/// Why something is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredBy {
    /// The file with the rule; `None` for a rule that is built in.
    pub file: Option<DiskPath>,
    /// The rule as it was typed; empty where it is built in, and where nobody could read what the file says.
    pub rule: String,
}

/// The rules of one folder and those above it.
#[derive(Debug, Clone)]
pub(in crate::scanner) struct Scope {
    path: DiskPath,
    rules: Option<Arc<IgnoreRules>>,
    above: Option<Arc<Scope>>,
    /// Whether nobody knows the folder's own rules.
    is_sealed: bool,
    /// What ignores the folder itself: nothing new in it is looked at then.
    whole: Option<IgnoredBy>,
}

impl Scope {
    /// The scope of a folder in the scope of the one above; `None` for the root.
    pub(in crate::scanner) fn new(path: &DiskPath, loaded: Loaded, above: Option<Arc<Self>>) -> Self {
        let ignored_above = above.as_ref().and_then(|above| {
            let name = path.names().last()?;
            above.ignored_by(name, true)
        });
        // What the rules keep here must not leave because nobody could read them.
        let sealed = loaded.is_sealed.then(|| IgnoredBy {
            file: Some(path.join(IGNORE_FILE)),
            rule: String::new(),
        });
        Self {
            path: path.clone(),
            is_sealed: loaded.is_sealed,
            rules: loaded.rules,
            above,
            whole: ignored_above.or(sealed),
        }
    }

    /// The folder in which all this lies and of which nobody knows the rules, if there is one.
    pub(in crate::scanner) fn sealed_at(&self) -> Option<&DiskPath> {
        self.is_sealed
            .then_some(&self.path)
            .or_else(|| self.above.as_deref().and_then(Self::sealed_at))
    }

    /// What ignores a name in this folder, were it new; the nearest file that has something to say decides.
    pub(in crate::scanner) fn ignored_by(&self, name: &str, is_folder: bool) -> Option<IgnoredBy> {
        if let Some(whole) = &self.whole {
            return Some(whole.clone());
        }
        if is_ignored(name) {
            return Some(IgnoredBy {
                file: None,
                rule: String::new(),
            });
        }
        // The rules themselves always travel.
        if name == IGNORE_FILE && !is_folder {
            return None;
        }
        let mut path = name.to_owned();
        let mut scope = self;
        loop {
            match scope
                .rules
                .as_ref()
                .and_then(|rules| rules.verdict(&path, is_folder))
            {
                Some(Verdict::Wanted) => return None,
                Some(Verdict::Ignored(rule)) => {
                    return Some(IgnoredBy {
                        file: Some(scope.path.join(IGNORE_FILE)),
                        rule,
                    });
                }
                None => {}
            }
            let (above, folder) = (scope.above.as_ref()?, scope.path.names().last()?);
            path = format!("{folder}/{path}");
            scope = above;
        }
    }
}

/// What was read of a folder's rules.
#[derive(Debug, Default)]
pub(in crate::scanner) struct Loaded {
    pub(in crate::scanner) rules: Option<Arc<IgnoreRules>>,
    /// Whether the rules are others than when the folder was last looked at, as far as is remembered.
    pub(in crate::scanner) is_changed: bool,
    /// Whether there are rules that nobody knows.
    is_sealed: bool,
    /// What is wrong with them.
    pub(in crate::scanner) problems: Vec<ProblemReason>,
}

#[derive(Debug)]
struct Remembered {
    fingerprint: Fingerprint,
    /// Whether a later write may have left the fingerprint as it is.
    is_unsure: bool,
    hash: Hash,
    size: usize,
    rules: Arc<IgnoreRules>,
    bad: Vec<BadLine>,
}

/// The rules that were read lately.
#[derive(Debug, Default)]
pub(in crate::scanner) struct RulesMemory {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    folders: HashMap<DiskPath, Remembered>,
    /// Folders in which nobody has looked since for what other rules kept back.
    changed: BTreeSet<DiskPath>,
}

impl RulesMemory {
    /// The rules of a folder whose file was seen as `found`; reads it when it is another than is remembered.
    pub(in crate::scanner) fn load(
        &self,
        fs: &dyn Filesystem,
        now: Timestamp,
        folder: &DiskPath,
        found: FsResult<Option<Metadata>>,
    ) -> Loaded {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.load_noting(fs, now, folder, found)
    }

    /// The same, for who looks at the folder and at all below it where the rules changed.
    pub(in crate::scanner) fn take(
        &self,
        fs: &dyn Filesystem,
        now: Timestamp,
        folder: &DiskPath,
        found: FsResult<Option<Metadata>>,
    ) -> Loaded {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = memory.load_noting(fs, now, folder, found);
        // As long as nobody knows the rules there is nothing to look for.
        let is_changed = !loaded.is_sealed && memory.changed.remove(folder);
        Loaded { is_changed, ..loaded }
    }
}

impl Memory {
    /// Loads rules, and remembers where they are others than before.
    fn load_noting(
        &mut self,
        fs: &dyn Filesystem,
        now: Timestamp,
        folder: &DiskPath,
        found: FsResult<Option<Metadata>>,
    ) -> Loaded {
        let loaded = self.load(fs, now, folder, found);
        if loaded.is_changed || loaded.is_sealed {
            if self.changed.len() >= REMEMBERED {
                // The root stands for all.
                self.changed = BTreeSet::from([DiskPath::root()]);
            }
            self.changed.insert(folder.clone());
        }
        loaded
    }

    fn load(
        &mut self,
        fs: &dyn Filesystem,
        now: Timestamp,
        folder: &DiskPath,
        found: FsResult<Option<Metadata>>,
    ) -> Loaded {
        let known = self.folders.get(folder);
        let found = match found {
            // A listing may miss a name that is being replaced.
            Ok(None) if known.is_some() => fs.metadata(&folder.join(IGNORE_FILE)),
            found => found,
        };
        match found {
            Ok(Some(found)) if found.kind == FileKind::Node(NodeKind::File) => {
                self.load_file(fs, now, folder, &found)
            }
            Ok(_) => Loaded {
                is_changed: self.folders.remove(folder).is_some(),
                ..Loaded::default()
            },
            Err(error) => unread(known, &error),
        }
    }

    fn load_file(
        &mut self,
        fs: &dyn Filesystem,
        now: Timestamp,
        folder: &DiskPath,
        found: &Metadata,
    ) -> Loaded {
        let folders = &mut self.folders;
        let known = folders.get(folder);
        if let Some(known) = known.filter(|known| !known.is_unsure && known.fingerprint == found.fingerprint)
        {
            return Loaded {
                rules: Some(Arc::clone(&known.rules)),
                problems: known.bad.iter().map(reason).collect(),
                ..Loaded::default()
            };
        }
        let text = match read(fs, &folder.join(IGNORE_FILE), found.fingerprint.size) {
            Ok(Some(text)) => text,
            Ok(None) => {
                let bad = BadLine {
                    line: 0,
                    what: format!("it has more than {FILE_BYTES} bytes; none of its rules holds"),
                };
                return Loaded {
                    is_changed: folders.remove(folder).is_some(),
                    problems: vec![reason(&bad)],
                    ..Loaded::default()
                };
            }
            Err(error) => return unread(known, &error),
        };
        let hash = blake3::hash(text.as_bytes());
        let is_changed = known.is_none_or(|known| known.hash != hash);
        let (rules, bad) = match known {
            Some(known) if known.hash == hash => (Arc::clone(&known.rules), known.bad.clone()),
            _ => {
                let (rules, bad) = IgnoreRules::parse_for(&text, folds_case(fs));
                (Arc::new(rules), bad)
            }
        };
        let loaded = Loaded {
            rules: Some(Arc::clone(&rules)),
            is_changed,
            problems: bad.iter().map(reason).collect(),
            ..Loaded::default()
        };
        let bytes: usize = folders.values().map(|known| known.size).sum();
        if folders.len() >= REMEMBERED || bytes + text.len() > REMEMBERED_BYTES {
            folders.clear();
        }
        folders.insert(
            folder.clone(),
            Remembered {
                fingerprint: found.fingerprint,
                is_unsure: is_unsure(&found.fingerprint, now, fs.timestamp_step_ns()),
                hash,
                size: text.len(),
                rules,
                bad,
            },
        );
        loaded
    }
}

/// The rules of a file that cannot be read: those that were known hold until it can.
fn unread(known: Option<&Remembered>, error: &FsError) -> Loaded {
    let why = error.source.to_string();
    Loaded {
        rules: known.map(|known| Arc::clone(&known.rules)),
        is_sealed: known.is_none(),
        problems: vec![match known {
            Some(_) => ProblemReason::Io(why),
            None => ProblemReason::UnknownRules(why),
        }],
        ..Loaded::default()
    }
}

/// Whether the disk takes names that differ in case for one: our own folder is looked for under such a name.
fn folds_case(fs: &dyn Filesystem) -> bool {
    let other = DiskPath::root().join(&OWN_FOLDER.to_uppercase());
    matches!(fs.metadata(&other), Ok(Some(_)))
}

fn reason(bad: &BadLine) -> ProblemReason {
    ProblemReason::IgnoreRule {
        line: bad.line,
        what: bad.what.clone(),
    }
}

/// The text of a file of rules; `None` when it is too long. What is no UTF-8 is replaced, and refused line by line.
fn read(fs: &dyn Filesystem, path: &DiskPath, size: u64) -> FsResult<Option<String>> {
    if size > FILE_BYTES as u64 {
        return Ok(None);
    }
    let mut file = fs.open(path)?;
    let mut bytes = vec![0; FILE_BYTES + 1];
    let len = file.read_at(0, &mut bytes)?;
    bytes.truncate(len);
    Ok((len <= FILE_BYTES).then(|| String::from_utf8_lossy(&bytes).into_owned()))
}
