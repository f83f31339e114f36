//! The rules of a synced root on disks that lack something, fail, or stop in the middle.

mod fallbacks;
mod order;
pub(crate) mod weak;

use cairn_core::time::Mtime;

use crate::fs::os::LinuxDisk;
use crate::fs::root::RootFilesystem;
use crate::fs::{DiskPath, Filesystem};
use weak::{Lacks, WeakDisk};

/// A root on a weak disk, in a folder of its own.
struct Device {
    folder: tempfile::TempDir,
    fs: RootFilesystem<WeakDisk>,
}

impl Device {
    fn new(lacks: Lacks) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = WeakDisk::new(LinuxDisk::new(folder.path().to_owned()), lacks);
        let fs = RootFilesystem::new(disk).unwrap();
        fs.adopt_root("marker").unwrap();
        fs.disk().forget();
        Self { folder, fs }
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.folder.path().join(path), text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join(path)).ok()
    }

    fn stage(&self, name: &str, text: &str) {
        let mut file = self.fs.stage(name).unwrap();
        file.write_at(0, text.as_bytes()).unwrap();
        file.finish(text.len() as u64, false, Mtime::default()).unwrap();
        self.fs.disk().forget();
    }

    /// What all the files of the root hold, the stage's and the trash's too.
    fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for folder in ["", ".cairn/stage", ".cairn/trash"] {
            for entry in std::fs::read_dir(self.folder.path().join(folder)).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    texts.push(std::fs::read_to_string(entry.path()).unwrap());
                }
            }
        }
        texts.sort_unstable();
        texts
    }
}

fn path(text: &str) -> DiskPath {
    DiskPath::from_names(text.split('/').map(str::to_owned).collect())
}

#[test]
fn one_thing_that_cannot_be_removed_keeps_nothing_but_the_folders_that_it_lies_in() {
    let device = Device::new(Lacks::default());
    for folder in ["top/a", "top/b", "top/c/deep"] {
        std::fs::create_dir_all(device.folder.path().join(folder)).unwrap();
    }
    for file in ["top/a/x", "top/b/kept", "top/b/x", "top/c/deep/x", "top/x", "x"] {
        device.write(file, "text");
    }
    device.fs.disk().fail("unlink top/b/kept");
    device.fs.clear().unwrap_err();
    let left = |folder: &str| {
        let entries = std::fs::read_dir(device.folder.path().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != ".cairn").collect();
        names.sort_unstable();
        names
    };
    assert_eq!([left(""), left("top"), left("top/b")], [["top"], ["b"], ["kept"]]);
    device.fs.clear().unwrap();
    assert!(left("").is_empty());
}
