//! The simulated disk against the system's: the same calls have the same results and leave the same.

use std::collections::BTreeMap;
use std::io;

use cairn_client::fs::disk::{Access, Disk, RenameMode};
use cairn_client::fs::os::LinuxDisk;
use cairn_core::time::Mtime;
use cairn_testkit::random::Random;

use super::{disk, name};
use crate::disk::DiskOptions;

const SEEDS: u64 = 60;
const STEPS: usize = 250;
const FOLDERS: [&[&str]; 5] = [&[], &["a"], &["b"], &["a", "b"], &["b", "a"]];
const NAMES: [&str; 4] = ["a", "b", "x", "y"];
const MODES: [RenameMode; 3] = [
    RenameMode::Replace,
    RenameMode::KeepExisting,
    RenameMode::Exchange,
];
const ACCESSES: [Access; 4] = [Access::Read, Access::Write, Access::Create, Access::CreateEmpty];

/// A disk with what is open on it.
struct Bench<D: Disk> {
    disk: D,
    root: D::Folder,
    folders: BTreeMap<u64, D::Folder>,
    files: BTreeMap<u64, D::File>,
}

impl<D: Disk> Bench<D> {
    fn new(disk: D) -> Self {
        Self {
            root: disk.open_root().unwrap(),
            disk,
            folders: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    /// One step that `random` decides, with what came of it.
    fn step(&mut self, random: &mut Random) -> String {
        let kind = random.below(16);
        let result = match kind {
            0..=5 => self.name_step(kind, random),
            6..=9 => self.two_name_step(random),
            _ => self.handle_step(kind, random),
        };
        match result {
            Ok(text) => format!("{kind}: {text}"),
            Err(error) => format!("{kind}: {:?}", error.kind()),
        }
    }

    fn folder(&self, random: &mut Random) -> io::Result<D::Folder> {
        let base = self.folders.get(&random.below(6)).unwrap_or(&self.root);
        self.disk
            .open_folder(base, FOLDERS[random.below(FOLDERS.len() as u64) as usize])
    }

    fn name_step(&self, kind: u64, random: &mut Random) -> io::Result<String> {
        let target = name(NAMES[random.below(4) as usize]);
        let folder = self.folder(random)?;
        match kind {
            0 | 1 => self.disk.make_folder(&folder, target, 0o777)?,
            2 => self.disk.remove_folder(&folder, target)?,
            3 => self.disk.unlink(&folder, target)?,
            4 => self.disk.symlink(&folder, target, "nowhere")?,
            _ => return Ok(format!("{:?}", self.disk.read_link(&folder, target)?)),
        }
        Ok(String::new())
    }

    fn two_name_step(&self, random: &mut Random) -> io::Result<String> {
        let (old, new) = (random.below(4) as usize, random.below(4) as usize);
        let choice = random.below(6) as usize;
        // Both are opened before either fails, so that each disk draws as many numbers.
        let (from, to) = (self.folder(random), self.folder(random));
        let (from, to) = (from?, to?);
        let (old, new) = (name(NAMES[old]), name(NAMES[new]));
        match MODES.get(choice) {
            Some(mode) => self.disk.rename(&from, old, &to, new, *mode)?,
            None if choice == 3 => self.disk.link(&from, old, &to, new)?,
            None => self.disk.rename(&from, old, &to, new, RenameMode::Replace)?,
        }
        Ok(String::new())
    }

    fn handle_step(&mut self, kind: u64, random: &mut Random) -> io::Result<String> {
        let slot = random.below(4);
        if kind == 10 {
            let opened = self.folder(random)?;
            self.disk.sync_folder(&opened)?;
            let kind = self.disk.stat_folder(&opened)?.metadata.kind;
            let names = self.disk.names(&opened).map_err(|error| error.kind());
            self.folders.insert(slot, opened);
            return Ok(format!("{kind:?} {:?}", names.map(|names| names.len())));
        }
        if kind <= 12 {
            let access = ACCESSES[random.below(4) as usize];
            let target = name(NAMES[random.below(4) as usize]);
            let folder = self.folder(random)?;
            let opened = self.disk.open_file(&folder, target, access)?;
            self.files.insert(slot, opened);
            return Ok(String::new());
        }
        let (offset, len) = (random.below(10), random.below(12) as usize);
        let bytes = random.bytes(len);
        let Some(file) = self.files.get(&slot) else {
            return Ok("not open".to_owned());
        };
        match kind {
            13 => self.disk.write_at(file, offset, &bytes)?,
            14 => self.disk.set_len(file, offset)?,
            _ => return self.describe_file(file, offset, len),
        }
        Ok(String::new())
    }

    fn describe_file(&self, file: &D::File, offset: u64, len: usize) -> io::Result<String> {
        let executable_mode = if len.is_multiple_of(2) { 0o755 } else { 0o640 };
        self.disk.set_mode(file, executable_mode)?;
        self.disk
            .set_mtime(file, Mtime::new(len as i64, 0).unwrap_or_default())?;
        self.disk.sync_file(file)?;
        let stat = self.disk.stat_file(file)?;
        let mut buffer = vec![0; len];
        let read = self
            .disk
            .read_at(file, offset, &mut buffer)
            .map_err(|error| error.kind());
        let fingerprint = stat.metadata.fingerprint;
        Ok(format!(
            "{read:?} {buffer:?} {:o} {} {:?}",
            stat.mode, fingerprint.size, fingerprint.mtime
        ))
    }

    /// All that is there: names, kinds, lengths, bytes, and which names are one file.
    fn tree(&self) -> Vec<String> {
        let mut rows = Vec::new();
        let mut first_names = BTreeMap::new();
        let mut waiting = vec![Vec::new()];
        while let Some(above) = waiting.pop() {
            let folder = self.disk.open_folder::<String>(&self.root, &above).unwrap();
            self.disk.sync_folder(&folder).unwrap();
            let mut names = self.disk.names(&folder).unwrap();
            names.sort();
            for name in names {
                let stat = self.disk.stat(&folder, &name).unwrap();
                let mut path = above.clone();
                path.push(name.to_str().unwrap().to_owned());
                let shown = path.join("/");
                let fingerprint = stat.metadata.fingerprint;
                let one = first_names
                    .entry(fingerprint.inode)
                    .or_insert_with(|| shown.clone())
                    .clone();
                let bytes = self.content(&folder, &name);
                rows.push(format!("{shown} {:?} {one} {bytes:?}", stat.metadata.kind));
                if bytes == Err(io::ErrorKind::IsADirectory) {
                    waiting.push(path);
                }
            }
        }
        rows
    }

    fn content(&self, folder: &D::Folder, name: &std::ffi::OsStr) -> Result<Vec<u8>, io::ErrorKind> {
        if self.disk.open_folder(folder, &[name]).is_ok() {
            return Err(io::ErrorKind::IsADirectory);
        }
        let read = || {
            let file = self.disk.open_file(folder, name, Access::Read)?;
            let mut buffer = vec![0; 64];
            let count = self.disk.read_at(&file, 0, &mut buffer)?;
            buffer.truncate(count);
            Ok(buffer)
        };
        read().map_err(|error: io::Error| error.kind())
    }
}

#[test]
fn the_same_calls_do_the_same_as_on_the_systems_disk() {
    let mut successes = 0;
    for seed in 0..SEEDS {
        let folder = tempfile::tempdir().unwrap();
        let mut real = Bench::new(LinuxDisk::new(folder.path().to_owned()));
        let mut simulated = Bench::new(disk(DiskOptions::default()).process());
        let (mut random, mut same_random) = (Random::new(seed), Random::new(seed));
        for step in 0..STEPS {
            let (expected, found) = (real.step(&mut random), simulated.step(&mut same_random));
            assert_eq!(expected, found, "seed {seed}, step {step}");
            successes += usize::from(expected.ends_with(": "));
        }
        assert_eq!(real.tree(), simulated.tree(), "seed {seed}");
    }
    assert!(successes > STEPS * SEEDS as usize / 10, "{successes}");
}
