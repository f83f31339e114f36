use std::io;

use cairn_client::fs::DiskPath;
use cairn_client::fs::disk::{Access, Disk};
use cairn_core::time::Mtime;

use super::{bytes_at, disk, folder, move_to, name, put};
use crate::disk::{Change, DiskOptions, SimDisk, UserEntry};

fn change(path: &str, new_folder: Option<&str>) -> Change {
    let names = path.split('/').filter(|part| !part.is_empty());
    Change {
        folder: DiskPath::from_names(names.map(str::to_owned).collect()),
        new_folder: new_folder.map(str::to_owned),
    }
}

fn paths(disk: &SimDisk) -> Vec<String> {
    disk.user().tree().into_keys().collect()
}

#[test]
fn editors_save_in_each_of_their_ways() {
    let disk = disk(DiskOptions::default());
    let user = disk.user();
    user.write("a", b"1").unwrap();
    let first = user.stat("a").unwrap().unwrap().inode;
    user.write("a", b"22").unwrap();
    assert_eq!(user.stat("a").unwrap().unwrap().inode, first);
    user.save_with_backup("a", b"333").unwrap();
    assert_eq!(bytes_at(&disk, "a~"), Some(b"22".to_vec()));
    user.save_by_rename("a", b"4444").unwrap();
    assert_ne!(user.stat("a").unwrap().unwrap().inode, first);
    user.write_in_place("a", 1, b"--").unwrap();
    user.append("a", b"+").unwrap();
    assert_eq!(bytes_at(&disk, "a"), Some(b"4--4+".to_vec()));
    user.save_with_backup("new", b"5").unwrap();
    assert_eq!(paths(&disk), ["a", "a~", "new"]);
    let missing = user.write_in_place("b", 0, b"x").unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

#[test]
fn people_see_what_they_made() {
    let disk = disk(DiskOptions::default());
    let user = disk.user();
    user.make_folder("d").unwrap();
    user.write("d/x", b"text").unwrap();
    user.set_executable("d/x", true).unwrap();
    let mtime = Mtime::new(12, 34).unwrap();
    user.set_mtime("d/x", mtime).unwrap();
    user.hard_link("d/x", "y").unwrap();
    user.symlink("l", "d/x").unwrap();
    user.make_pipe("p").unwrap();
    user.make_folder(".cairn").unwrap();
    user.write(".cairn/root", b"id").unwrap();
    let file = UserEntry::File {
        bytes: b"text".to_vec().into(),
        executable: true,
        mtime,
    };
    let link = UserEntry::Link {
        target: "d/x".to_owned(),
    };
    let tree: Vec<(String, UserEntry)> = user.tree().into_iter().collect();
    let expected = [
        ("d", UserEntry::Folder),
        ("d/x", file.clone()),
        ("l", link),
        ("p", UserEntry::Pipe),
        ("y", file),
    ];
    assert_eq!(tree, expected.map(|(path, row)| (path.to_owned(), row)));
    assert!(user.whole_tree().contains_key(".cairn/root"));
    assert_eq!(user.stat("y").unwrap().unwrap().name_count, 2);
    assert_eq!(
        user.remove("d").unwrap_err().kind(),
        io::ErrorKind::DirectoryNotEmpty
    );
    user.exchange("d", "y").unwrap();
    assert_eq!(bytes_at(&disk, "d"), Some(b"text".to_vec()));
    user.remove_tree("y").unwrap();
    assert_eq!(user.stat("y").unwrap(), None);
    assert_eq!(user.stat("y/x").unwrap(), None);
    assert_eq!(user.stat("d").unwrap().unwrap().name_count, 1);
}

#[test]
fn a_program_goes_on_writing_to_the_file_that_it_opened() {
    let disk = disk(DiskOptions::default());
    let editor = disk.user().open_for_writing("a").unwrap();
    editor.append(b"first ").unwrap();
    let process = disk.process();
    let root = folder(&process, "");
    let stage = {
        process.make_folder(&root, name("stage"), 0o700).unwrap();
        folder(&process, "stage")
    };
    put(&process, &stage, "s", b"ours");
    let mode = cairn_client::fs::disk::RenameMode::Exchange;
    process.rename(&stage, name("s"), &root, name("a"), mode).unwrap();
    editor.append(b"second").unwrap();
    editor.write_at(0, b"F").unwrap();
    assert_eq!(bytes_at(&disk, "a"), Some(b"ours".to_vec()));
    assert_eq!(bytes_at(&disk, "stage/s"), Some(b"First second".to_vec()));
    disk.user().remove("stage/s").unwrap();
    editor.truncate(3).unwrap();
    assert_eq!(editor.read().unwrap().as_slice(), b"Fir");
    editor.sync().unwrap();
}

#[test]
fn an_open_folder_stays_itself_under_another_name() {
    let disk = disk(DiskOptions::default());
    disk.user().make_folder("a").unwrap();
    let process = disk.process();
    let below = folder(&process, "a");
    disk.user().rename("a", "b").unwrap();
    put(&process, &below, "x", b"text");
    assert_eq!(paths(&disk), ["b", "b/x"]);
    disk.user().remove_tree("b").unwrap();
    let made = process.make_folder(&below, name("y"), 0o777);
    assert_eq!(made.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(process.stat_folder(&below).is_ok());
}

#[test]
fn a_watcher_is_told_the_folder_of_each_change() {
    let disk = disk(DiskOptions::default());
    let events = disk.events(100);
    disk.user().make_folder("d").unwrap();
    disk.user().write("d/x", b"text").unwrap();
    assert_eq!(events.take_all(), [change("", Some("d")), change("d", None)]);
    let process = disk.process();
    let (root, below) = (folder(&process, ""), folder(&process, "d"));
    move_to(&process, &below, "x", &root, "y");
    move_to(&process, &root, "d", &root, "e");
    let told = [change("d", None), change("", None), change("", Some("e"))];
    assert_eq!(events.take_all(), told);
    let file = process.open_file(&root, name("y"), Access::Write).unwrap();
    process.set_len(&file, 1).unwrap();
    process.unlink(&root, name("y")).unwrap();
    process.set_len(&file, 2).unwrap();
    assert_eq!(events.take_all(), [change("", None)]);
    // What is ours is watched by nobody.
    disk.user().make_folder(".cairn").unwrap();
    events.take_all();
    disk.user().write(".cairn/x", b"text").unwrap();
    assert_eq!(events.next(), None);
}

#[test]
fn a_watcher_that_does_not_look_is_told_that_it_missed_something() {
    let disk = disk(DiskOptions::default());
    let events = disk.events(2);
    for path in ["1", "2", "3"] {
        disk.user().make_folder(path).unwrap();
    }
    assert!(events.take_overflow());
    assert!(!events.take_overflow());
    assert_eq!(events.take_all().len(), 2);
}

#[tokio::test]
async fn a_watcher_is_woken() {
    let disk = disk(DiskOptions::default());
    let events = disk.events(2);
    let ((), ()) = tokio::join!(events.arrived(), async {
        tokio::task::yield_now().await;
        disk.user().write("a", b"text").unwrap();
    });
    assert_eq!(events.take_all(), [change("", None)]);
}

#[test]
fn an_unmounted_volume_leaves_an_empty_folder_of_another_identity() {
    let disk = disk(DiskOptions::default());
    disk.user().write("a", b"text").unwrap();
    let process = disk.process();
    let root = folder(&process, "");
    let identity = process.root_traits(&root).identity;
    disk.unmount();
    assert!(!disk.is_mounted());
    // What is open of the volume is of no use.
    assert!(process.names(&root).is_err());
    let bare = folder(&process, "");
    assert!(process.names(&bare).unwrap().is_empty());
    assert_ne!(process.root_traits(&bare).identity, identity);
    disk.user().write("stray", b"text").unwrap();
    disk.mount();
    let back = folder(&process, "");
    assert_eq!(process.names(&back).unwrap(), ["a"]);
    let again = process.root_traits(&back).identity;
    assert_eq!(again.2, identity.2);
    assert_ne!(again.0, identity.0);
    assert!(process.names(&bare).is_err());
    disk.unmount();
    assert_eq!(paths(&disk), ["stray"]);
}

#[test]
fn a_replaced_root_is_empty_and_another() {
    let disk = disk(DiskOptions::default());
    disk.user().write("a", &[1; 9_000]).unwrap();
    let process = disk.process();
    let root = folder(&process, "");
    let identity = process.root_traits(&root).identity;
    let used_bytes = disk.used_bytes();
    disk.replace_root();
    assert!(process.names(&root).is_err());
    let fresh = folder(&process, "");
    assert!(process.names(&fresh).unwrap().is_empty());
    assert_ne!(process.root_traits(&fresh).identity, identity);
    assert!(disk.used_bytes() < used_bytes);
}
