//! A user at work in a folder while it is being synced: random changes from a seed, and a record of what must survive.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use blake3::Hash;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::ledger::Ledger;
use crate::random::Random;
use crate::tree::hash_file;

/// The folder, at any depth, that no editor touches.
pub const PUTS: &str = "puts";

/// Files in a folder that is deleted whole, at most.
const FEW: usize = 20;
/// Files and folders above which the editor takes away rather than adds, so that hours of work stay a folder that a
/// listing reads at once.
const MOST_FILES: usize = 400;
const MOST_FOLDERS: usize = 80;

/// Works in one folder.
///
/// What it takes away it takes away by one rename, and looks at it afterwards: so the record is right although a daemon
/// changes the same files.
#[derive(Debug)]
pub struct Editor {
    folder: PathBuf,
    /// Beside the folder, on the same file system.
    desk: PathBuf,
    name: String,
    random: Random,
    ledger: Ledger,
    made: u64,
}

impl Editor {
    /// A user called `name`, whose choices come from `seed`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new(folder: &Path, name: &str, seed: u64, ledger: &Ledger) -> Result<Self> {
        let desk = folder.with_file_name("desk");
        fs::create_dir_all(&desk)?;
        Ok(Self {
            folder: folder.to_owned(),
            desk,
            name: name.to_owned(),
            random: Random::new(seed),
            ledger: ledger.clone(),
            made: 0,
        })
    }

    /// Makes one change. One that the daemon came before is no change, and no error.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn step(&mut self) -> Result<()> {
        let (folders, files) = walk(&self.folder);
        let folder = self
            .random
            .pick(&folders)
            .context("there is the folder itself")?
            .clone();
        let file = self.random.pick(&files).cloned();
        let choice = match self.random.below(20) {
            0..=6 if files.len() > MOST_FILES => 14,
            16..=17 if folders.len() > MOST_FOLDERS => 18,
            choice => choice,
        };
        // Each of these may fail because the daemon moved or removed the path a moment ago.
        let outcome = match (choice, file) {
            (0..=6, _) | (_, None) => self.create(&folder),
            (7..=10, Some(file)) => self.replace(&file),
            (11..=13, Some(file)) => self.rename_to(&file, &folder, "file"),
            (14..=15, Some(file)) => self.delete(&file),
            (16..=17, Some(_)) => self.make_folder(&folder),
            (18, Some(_)) if folders.len() > MOST_FOLDERS || self.random.below(4) == 0 => {
                self.delete_folder(&folder)
            }
            (_, Some(_)) => self.move_folder(&folders, &folder),
        };
        drop(outcome);
        Ok(())
    }

    fn fresh_name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind} {} {}", self.name, self.made)
    }

    /// Writes something new beside the folder.
    fn draft(&mut self) -> Result<(PathBuf, Hash)> {
        let length = self.random.below(40_000) as usize + 16;
        let mut content = format!("{} {} ", self.name, self.made).into_bytes();
        content.extend(self.random.bytes(length));
        let path = self.desk.join("draft");
        fs::write(&path, &content)?;
        Ok((path, blake3::hash(&content)))
    }

    fn create(&mut self, folder: &Path) -> Result<()> {
        let name = self.fresh_name("file");
        let (draft, content) = self.draft()?;
        renameat_with(CWD, &draft, CWD, folder.join(name), RenameFlags::NOREPLACE)?;
        self.ledger.written(&self.name, content);
        Ok(())
    }

    /// As an editor saves: the new file and the old one change places, then the old one is looked at and thrown away.
    fn replace(&mut self, file: &Path) -> Result<()> {
        self.made += 1;
        let (draft, content) = self.draft()?;
        let before = self.ledger.now();
        renameat_with(CWD, &draft, CWD, file, RenameFlags::EXCHANGE)?;
        self.ledger.written(&self.name, content);
        self.throw_away(&draft, before)
    }

    fn delete(&mut self, file: &Path) -> Result<()> {
        let out = self.desk.join("out");
        let before = self.ledger.now();
        fs::rename(file, &out)?;
        self.throw_away(&out, before)
    }

    fn delete_folder(&mut self, folder: &Path) -> Result<()> {
        // Most of everything gone at once is held back and asked about, which is another test's matter.
        if folder == self.folder || walk(folder).1.len() > FEW {
            return Ok(());
        }
        let out = self.desk.join("out folder");
        let before = self.ledger.now();
        fs::rename(folder, &out)?;
        let (_, files) = walk(&out);
        for file in files {
            self.ledger.given_up(&self.name, hash_file(&file)?, before);
        }
        Ok(fs::remove_dir_all(&out)?)
    }

    /// Looks at what was taken away, and removes it.
    fn throw_away(&self, file: &Path, before: Duration) -> Result<()> {
        self.ledger.given_up(&self.name, hash_file(file)?, before);
        Ok(fs::remove_file(file)?)
    }

    fn rename_to(&mut self, from: &Path, folder: &Path, kind: &str) -> Result<()> {
        let to = folder.join(self.fresh_name(kind));
        renameat_with(CWD, from, CWD, &to, RenameFlags::NOREPLACE)?;
        let (_, below) = walk(&to);
        for file in below.iter().chain([&to]) {
            // What the daemon takes away meanwhile it knows.
            if let Ok(content) = hash_file(file) {
                self.ledger.moved(&self.name, content);
            }
        }
        Ok(())
    }

    fn make_folder(&mut self, folder: &Path) -> Result<()> {
        let name = self.fresh_name("folder");
        Ok(fs::create_dir(folder.join(name))?)
    }

    fn move_folder(&mut self, folders: &[PathBuf], to: &Path) -> Result<()> {
        let from = self
            .random
            .pick(folders)
            .context("there is the folder itself")?
            .clone();
        if from == self.folder || to.starts_with(&from) {
            return Ok(());
        }
        self.rename_to(&from, to, "folder")
    }
}

/// The folders from `root` down, itself first, and the files in them. What goes away meanwhile is left out.
fn walk(root: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut folders = vec![root.to_owned()];
    let mut files = Vec::new();
    let mut next = 0;
    while let Some(folder) = folders.get(next).cloned() {
        next += 1;
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let Ok(entry) = entry else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            // Neither ours nor that of `cairn put`, whose files must stay where they were put.
            if kind.is_dir() && (entry.file_name() == ".cairn" || entry.file_name() == PUTS) {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    // The order of a listing is the file system's; the seed alone is to decide.
    folders.sort();
    files.sort();
    (folders, files)
}
