use std::time::Duration;

use cairn_core::runtime::{BoxFuture, Spawner};
use tokio::time::timeout;

use super::*;
use crate::scanner::tests::fixture::{Device, disk_path};

const DEADLINE: Duration = Duration::from_secs(20);

async fn watcher(device: &Device) -> Watcher {
    let watcher = Watcher::start(&device.path(""), device.runtime.clone()).await;
    assert_eq!(watcher.trouble(), None);
    watcher
}

/// Waits until a hint covers a folder.
async fn told(watcher: &mut Watcher, folder: &str) {
    let folder = disk_path(folder);
    timeout(DEADLINE, async {
        loop {
            match watcher.next().await {
                Hint::Everything => return,
                Hint::Folders(folders) if folders.contains(&folder) => return,
                Hint::Folders(_) => {}
            }
        }
    })
    .await
    .unwrap_or_else(|_| panic!("no hint of {folder}"));
}

#[tokio::test]
async fn changes_are_told_by_folder() {
    let device = Device::new();
    device.folder("a/b");
    device.write("a/b/f", "1");
    let mut watcher = watcher(&device).await;
    device.write("a/b/f", "2");
    told(&mut watcher, "a/b").await;
    device.rename("a/b/f", "g");
    told(&mut watcher, "").await;
    device.remove("g");
    told(&mut watcher, "").await;
    device.chmod("a/b", 0o700);
    told(&mut watcher, "a").await;
}

#[tokio::test]
async fn new_and_moved_folders_are_watched_before_they_are_told() {
    let device = Device::new();
    let mut watcher = watcher(&device).await;
    device.folder("x/y/z");
    told(&mut watcher, "x/y/z").await;
    device.write("x/y/z/f", "1");
    told(&mut watcher, "x/y/z").await;
    device.rename("x", "moved");
    told(&mut watcher, "moved/y/z").await;
    device.write("moved/y/z/f", "2");
    told(&mut watcher, "moved/y/z").await;
}

/// Does something right after the next work on a thread, before who asked for it goes on.
struct Meddling {
    inner: Arc<dyn Spawner>,
    then: Mutex<Option<BoxFuture<()>>>,
}

impl Spawner for Meddling {
    fn spawn(&self, name: &'static str, task: BoxFuture<()>) {
        self.inner.spawn(name, task);
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        let done = self.inner.run_blocking(work);
        let then = self.then.lock().unwrap().take();
        Box::pin(async move {
            done.await;
            if let Some(then) = then {
                then.await;
            }
        })
    }
}

#[tokio::test]
async fn a_folder_that_takes_the_place_of_one_that_was_just_watched_is_watched_too() {
    let device = Device::new();
    let mut watcher = watcher(&device).await;
    let meddling = Arc::new(Meddling {
        inner: Arc::clone(&watcher.runtime.spawner),
        then: Mutex::default(),
    });
    watcher.runtime.spawner = meddling.clone();
    let (path, shared) = (device.path(""), Arc::clone(&watcher.shared));
    let replace = async move {
        let appeared = shared.pending().appeared;
        std::fs::rename(path.join("x"), path.join("y")).unwrap();
        std::fs::create_dir(path.join("x")).unwrap();
        let both_are_told = async {
            while shared.pending().appeared < appeared + 2 {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, both_are_told).await.unwrap();
    };
    *meddling.then.lock().unwrap() = Some(Box::pin(replace));
    device.folder("x");
    told(&mut watcher, "x").await;
    assert!(meddling.then.lock().unwrap().is_none());
    told(&mut watcher, "y").await;
    device.write("x/f", "1");
    told(&mut watcher, "x").await;
}

#[tokio::test]
async fn what_happens_in_a_folder_that_was_moved_away_is_not_told() {
    let device = Device::new();
    device.folder("a");
    let mut watcher = watcher(&device).await;
    let outside = tempfile::tempdir_in(device.path("").parent().unwrap()).unwrap();
    let away = outside.path().join("a");
    std::fs::rename(device.path("a"), &away).unwrap();
    told(&mut watcher, "").await;
    std::fs::write(away.join("f"), "1").unwrap();
    device.folder("b");
    loop {
        let Hint::Folders(folders) = timeout(DEADLINE, watcher.next()).await.unwrap() else {
            panic!("of everything nothing was said");
        };
        assert!(!folders.contains(&disk_path("a")), "{folders:?}");
        if folders.contains(&disk_path("b")) {
            break;
        }
    }
}

#[tokio::test]
async fn reading_is_not_told_and_a_root_that_goes_is() {
    let device = Device::new();
    device.folder("a");
    device.folder("a");
    device.write("a/f", "1");
    let mut watcher = watcher(&device).await;
    assert_eq!(device.read("a/f"), "1");
    device.folder("b");
    told(&mut watcher, "b").await;
    assert!(!watcher.shared.pending().folders.contains(&disk_path("a")));
    let away = device.path("").with_extension("away");
    std::fs::rename(device.path(""), &away).unwrap();
    told(&mut watcher, "a folder that only everything covers").await;
    std::fs::rename(&away, device.path("")).unwrap();
}

/// Copies a tree as `cp -r` does.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

#[tokio::test]
async fn a_root_that_is_replaced_is_watched_again() {
    let device = Device::new();
    device.folder("d");
    let mut watcher = watcher(&device).await;
    let away = device.path("").with_extension("away");
    std::fs::rename(device.path(""), &away).unwrap();
    told(&mut watcher, "a folder that only everything covers").await;
    assert_eq!(watcher.trouble(), Some(WatchTrouble::RootGone));
    // Where a disk was mounted a folder is left.
    device.folder("");
    watcher.next_poll = Instant::now();
    assert_eq!(timeout(DEADLINE, watcher.next()).await.unwrap(), Hint::Everything);
    assert_eq!(watcher.trouble(), Some(WatchTrouble::RootGone));
    std::fs::remove_dir(device.path("")).unwrap();
    copy(&away, &device.path(""));
    watcher.next_poll = Instant::now();
    assert_eq!(timeout(DEADLINE, watcher.next()).await.unwrap(), Hint::Everything);
    assert_eq!(watcher.trouble(), None);
    // Neither is the old one heard of.
    std::fs::write(away.join("d/f"), "1").unwrap();
    device.write("f", "1");
    let hint = timeout(DEADLINE, watcher.next()).await.unwrap();
    assert_eq!(hint, Hint::Folders(vec![disk_path("")]));
    device.write("d/f", "1");
    let hint = timeout(DEADLINE, watcher.next()).await.unwrap();
    assert_eq!(hint, Hint::Folders(vec![disk_path("d")]));
    std::fs::remove_dir_all(away).unwrap();
}

/// As when a folder above it is, or when a disk is mounted there.
#[tokio::test]
async fn a_root_that_is_replaced_unheard_is_found_at_the_next_poll() {
    let above = tempfile::tempdir().unwrap();
    let device = Device::new();
    let root = above.path().join("in/root");
    std::fs::create_dir(above.path().join("in")).unwrap();
    copy(&device.path(""), &root);
    let mut watcher = Watcher::start(&root, device.runtime.clone()).await;
    std::fs::rename(above.path().join("in"), above.path().join("out")).unwrap();
    std::fs::create_dir(above.path().join("in")).unwrap();
    copy(&device.path(""), &root);
    watcher.next_poll = Instant::now();
    assert_eq!(timeout(DEADLINE, watcher.next()).await.unwrap(), Hint::Everything);
    assert_eq!(watcher.trouble(), None);
    std::fs::write(root.join("f"), "1").unwrap();
    told(&mut watcher, "").await;
    std::fs::remove_dir_all(above.path().join("in")).unwrap();
    told(&mut watcher, "a folder that only everything covers").await;
    assert_eq!(watcher.trouble(), Some(WatchTrouble::RootGone));
}

#[tokio::test]
async fn our_own_folder_is_not_watched() {
    let device = Device::new();
    let mut watcher = watcher(&device).await;
    device.write(".cairn/stage/part-1", "x");
    device.write("f", "x");
    let hint = timeout(DEADLINE, watcher.next()).await.unwrap();
    assert_eq!(hint, Hint::Folders(vec![disk_path("")]));
}

#[test]
fn too_many_folders_become_everything() {
    let mut pending = Pending::default();
    for index in 0..=HINT_FOLDERS {
        pending.add(disk_path(&format!("d{index}")));
    }
    assert!(pending.is_everything && pending.folders.is_empty());
    for index in 0..=HINT_FOLDERS {
        pending.add_unwatched(disk_path(&format!("d{index}")));
    }
    assert!(pending.unwatched.contains_key(&disk_path("")) && pending.unwatched.len() <= HINT_FOLDERS);
}

#[tokio::test]
async fn without_watches_everything_is_asked_for_now_and_then() {
    let device = Device::new();
    let missing = device.path("missing");
    let mut watcher = Watcher::start(&missing, device.runtime.clone()).await;
    assert_eq!(watcher.trouble(), Some(WatchTrouble::RootGone));
    watcher.next_poll = Instant::now();
    assert_eq!(timeout(DEADLINE, watcher.next()).await.unwrap(), Hint::Everything);
    assert!(watcher.next_poll > Instant::now());
}
