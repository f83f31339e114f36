//! Disks that fail, fill up, and forget what was not synced.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cairn_chunks::pack::PackOptions;
use cairn_chunks::pack::files::{OsDir, PackDir, PackFile};
use cairn_chunks::{ChunkError, ChunkStore, NewChunk, PackChunks};
use futures::future::join_all;

use crate::support::{Folder, Home, chunk, has, runtime, seed};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What goes wrong, and what would survive a loss of power.
#[derive(Default)]
struct Disk {
    /// Fails the operation after this many, with this code.
    fail: Mutex<Option<(usize, i32)>>,
    /// Fails all later writes too.
    stays: AtomicBool,
    failed: AtomicBool,
    state: Mutex<Durable>,
    log: Mutex<Vec<&'static str>>,
}

#[derive(Default)]
struct Durable {
    /// Synced length of a file, by the stem of its name.
    lens: HashMap<String, u64>,
    names: BTreeSet<String>,
}

impl Disk {
    fn act(&self, what: &'static str) -> io::Result<()> {
        self.log.lock().unwrap().push(what);
        let mut fail = self.fail.lock().unwrap();
        match &mut *fail {
            Some((0, code)) => {
                let code = *code;
                if !self.stays.load(Ordering::SeqCst) {
                    *fail = None;
                }
                self.failed.store(true, Ordering::SeqCst);
                Err(io::Error::from_raw_os_error(code))
            }
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Turns a copy of the folder into what a loss of power would have left.
    fn lose_power(&self, folder: &Folder) {
        let durable = self.state.lock().unwrap();
        for entry in fs::read_dir(folder.packs()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let stem = stem(&name);
            let older = format!("{stem}.open");
            if !durable.names.contains(&name) && !durable.names.contains(&older) {
                fs::remove_file(&path).unwrap();
                continue;
            }
            let len = durable.lens.get(&stem).copied().unwrap_or(0);
            fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(len)
                .unwrap();
            if !durable.names.contains(&name) {
                fs::rename(&path, path.with_file_name(older)).unwrap();
            }
        }
    }
}

fn stem(name: &str) -> String {
    name.split('.').next().unwrap().to_owned()
}

struct FaultyDir {
    disk: Arc<Disk>,
    inner: OsDir,
}

impl FaultyDir {
    fn wrap(&self, name: &str, file: Arc<dyn PackFile>) -> Arc<dyn PackFile> {
        Arc::new(FaultyFile {
            disk: Arc::clone(&self.disk),
            stem: stem(name),
            inner: file,
        })
    }
}

impl PackDir for FaultyDir {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn PackFile>> {
        self.disk.act("create")?;
        Ok(self.wrap(name, self.inner.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn PackFile>> {
        Ok(self.wrap(name, self.inner.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.act("rename")?;
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        let names = self.inner.list()?.into_iter().collect();
        self.disk.act("sync folder")?;
        self.disk.state.lock().unwrap().names = names;
        Ok(())
    }
}

struct FaultyFile {
    disk: Arc<Disk>,
    stem: String,
    inner: Arc<dyn PackFile>,
}

impl PackFile for FaultyFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.disk.act("write") {
            // A failed write leaves a part behind.
            self.inner.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(error);
        }
        self.inner.write_all_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }

    fn sync(&self) -> io::Result<()> {
        // What is written while the sync runs is not promised.
        let len = self.inner.len()?;
        self.disk.act("sync")?;
        self.disk
            .state
            .lock()
            .unwrap()
            .lens
            .insert(self.stem.clone(), len);
        Ok(())
    }
}

async fn open(folder: &Folder, disk: &Arc<Disk>) -> PackChunks {
    fs::create_dir_all(folder.packs()).unwrap();
    let dir = FaultyDir {
        disk: Arc::clone(disk),
        inner: OsDir::new(folder.packs()),
    };
    // Small packs, so that sealing is part of every run.
    let options = PackOptions { pack_bytes: 600 };
    PackChunks::open_with(&folder.path, Arc::new(dir), runtime(seed()), options)
        .await
        .unwrap()
}

fn numbered(count: usize) -> Vec<NewChunk> {
    (0..count)
        .map(|number| chunk(&format!("chunk number {number}")))
        .collect()
}

/// Puts all, some at once, and returns those that were acknowledged.
async fn put_all(store: &PackChunks, chunks: &[NewChunk]) -> Vec<NewChunk> {
    let mut acknowledged = Vec::new();
    for group in chunks.chunks(4) {
        let puts = group.iter().map(|new| store.put(vec![new.clone()]));
        for (new, put) in group.iter().zip(join_all(puts).await) {
            if put.is_ok() {
                acknowledged.push(new.clone());
            }
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_failure_of_any_operation() {
    let home = Home::new();
    let chunks = numbered(24);
    for code in [EIO, ENOSPC] {
        for after in 0.. {
            let (folder, disk) = (home.next(), Arc::new(Disk::default()));
            let store = open(&folder, &disk).await;
            *disk.fail.lock().unwrap() = Some((after, code));
            let acknowledged = put_all(&store, &chunks).await;
            assert!(
                acknowledged.len() >= 20,
                "one failure fails one batch: {}",
                acknowledged.len()
            );
            for new in &acknowledged {
                assert!(has(&store, new).await, "readable at once");
            }
            // The failure is over: what was refused can be put.
            store.put(chunks.clone()).await.unwrap();
            // Closing may be what fails.
            let _ = store.close().await;
            let store = folder.reopen().await;
            for new in &chunks {
                assert!(has(&store, new).await, "operation {after} failed with {code}");
            }
            store.close().await.unwrap();
            if !disk.failed.load(Ordering::SeqCst) {
                assert!(after > 20, "the run has that many operations");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_loss_of_power() {
    let home = Home::new();
    let (folder, disk) = (home.next(), Arc::new(Disk::default()));
    let store = open(&folder, &disk).await;
    let chunks = numbered(16);
    let mut acknowledged: Vec<NewChunk> = Vec::new();
    for group in chunks.chunks(2) {
        acknowledged.extend(put_all(&store, group).await);
        let image = home.next();
        folder.copy_to(&image);
        disk.lose_power(&image);
        let reopened = image.reopen().await;
        for new in &acknowledged {
            assert!(has(&reopened, new).await);
        }
        reopened.close().await.unwrap();
    }
    assert_eq!(acknowledged.len(), chunks.len());
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_never_tried_again() {
    let home = Home::new();
    let (folder, disk) = (home.next(), Arc::new(Disk::default()));
    let store = open(&folder, &disk).await;
    store.put(vec![chunk("first")]).await.unwrap();
    disk.log.lock().unwrap().clear();
    // The write works, its sync fails.
    *disk.fail.lock().unwrap() = Some((1, EIO));
    let error = store.put(vec![chunk("second")]).await.unwrap_err();
    assert!(matches!(error, ChunkError::Io { action: "sync", .. }), "{error}");
    assert!(
        !has(&store, &chunk("second")).await,
        "what was not acknowledged is not served"
    );
    store.put(vec![chunk("third")]).await.unwrap();
    let log = disk.log.lock().unwrap().clone();
    assert_eq!(
        log,
        [
            "write",
            "sync",
            "create",
            "write",
            "sync",
            "sync folder",
            "write",
            "sync"
        ]
    );
    assert!(has(&store, &chunk("first")).await && has(&store, &chunk("third")).await);
    store.close().await.unwrap();
    let store = folder.reopen().await;
    assert!(has(&store, &chunk("first")).await && has(&store, &chunk("third")).await);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_leaves_nothing_behind() {
    let home = Home::new();
    let (folder, disk) = (home.next(), Arc::new(Disk::default()));
    let store = open(&folder, &disk).await;
    disk.stays.store(true, Ordering::SeqCst);
    // Creating the file still works.
    for _ in 0..10 {
        *disk.fail.lock().unwrap() = Some((1, ENOSPC));
        let error = store.put(numbered(3)).await.unwrap_err();
        assert!(matches!(error, ChunkError::Full { .. }), "{error}");
    }
    assert_eq!(folder.files("open").len(), 0);
    *disk.fail.lock().unwrap() = None;
    store.put(numbered(3)).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_put_is_synced_once_however_many_chunks_it_has() {
    let home = Home::new();
    let (folder, disk) = (home.next(), Arc::new(Disk::default()));
    let store = open(&folder, &disk).await;
    store.put(numbered(1_000)).await.unwrap();
    let log = disk.log.lock().unwrap().clone();
    assert_eq!(log, ["create", "write", "sync", "sync folder", "write", "sync"]);
    store.close().await.unwrap();
}
