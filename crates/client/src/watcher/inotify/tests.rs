use super::*;
use crate::scanner::tests::fixture::{Device, disk_path};

/// Hears when it is told to, so that what is done in between is heard of late.
struct Late {
    device: Device,
    listener: Listener,
}

impl Late {
    fn new(folders: &[&str]) -> Self {
        let device = Device::new();
        for folder in folders {
            device.folder(folder);
        }
        let listener = Listener::new(device.path(""), Arc::default()).unwrap();
        let late = Self { device, listener };
        late.watch(&[""]);
        late
    }

    fn watch(&self, folders: &[&str]) {
        for folder in folders {
            self.listener.watch(&disk_path(folder)).unwrap();
        }
    }

    /// Hears all that happened; the folders in which something did.
    fn hear(&self) -> Vec<String> {
        let mut buffer = vec![MaybeUninit::uninit(); READ_BYTES];
        let Err(error) = self.listener.read_all(&mut buffer);
        assert_eq!(error, Errno::WOULDBLOCK);
        let folders = std::mem::take(&mut self.listener.shared.pending().folders);
        folders.iter().map(ToString::to_string).collect()
    }

    /// Whether what is written in these folders is heard of, in each by its path.
    fn hears_of(&self, folders: &[&str]) {
        self.hear();
        for folder in folders {
            self.device.write(&format!("{folder}/new"), "1");
            assert_eq!(self.hear(), [*folder]);
            self.device.remove(&format!("{folder}/new"));
            self.hear();
        }
    }
}

/// As when a folder is moved into one that is new, which is walked before the move is heard of.
#[test]
fn a_folder_that_is_found_before_its_move_is_heard_of_stays_watched() {
    let late = Late::new(&["a/x/y", "t"]);
    late.watch(&["a", "a/x", "a/x/y"]);
    late.device.rename("a/x", "t/x");
    late.watch(&["t", "t/x", "t/x/y"]);
    late.hear();
    late.listener.let_go();
    late.hears_of(&["a", "t", "t/x", "t/x/y"]);
    late.device.folder("a/x/y");
    late.watch(&["a/x", "a/x/y"]);
    std::fs::remove_dir_all(late.device.path("a/x")).unwrap();
    late.hear();
    late.listener.let_go();
    late.hears_of(&["a", "t", "t/x", "t/x/y"]);
}

#[test]
fn folders_that_change_places_stay_watched() {
    let late = Late::new(&["a/x", "b/y"]);
    late.watch(&["a", "a/x", "b", "b/y"]);
    late.device.rename("a", "c");
    late.device.rename("b", "a");
    late.device.rename("c", "b");
    late.hear();
    late.watch(&["a", "a/y", "b", "b/x"]);
    late.listener.let_go();
    late.hears_of(&["a", "a/y", "b", "b/x"]);
}

#[test]
fn a_folder_that_left_the_tree_is_watched_no_more() {
    let late = Late::new(&["a/x", "b"]);
    late.watch(&["a", "a/x", "b"]);
    let outside = tempfile::tempdir_in(late.device.path("").parent().unwrap()).unwrap();
    std::fs::rename(late.device.path("a"), outside.path().join("a")).unwrap();
    late.device.folder("a/x");
    late.watch(&["a"]);
    late.hear();
    assert_eq!(late.listener.table().len(), 5);
    late.listener.let_go();
    late.watch(&["a/x"]);
    assert_eq!(
        late.listener.table().len(),
        4,
        "the root, b, and the new a and a/x"
    );
    late.hears_of(&["a", "a/x", "b"]);
    std::fs::write(outside.path().join("a/f"), "1").unwrap();
    assert_eq!(late.hear(), [""; 0]);
}

#[test]
fn a_folder_that_is_deleted_is_forgotten() {
    let late = Late::new(&["a/x"]);
    late.watch(&["a", "a/x"]);
    std::fs::remove_dir_all(late.device.path("a")).unwrap();
    late.hear();
    assert_eq!(late.listener.table().len(), 1);
}
