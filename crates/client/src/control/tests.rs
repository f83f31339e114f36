//! Both sides of the socket in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::status::{Activity, Transfer, Watching};

fn status(activity: Activity, passes: u64) -> Status {
    Status {
        activity,
        folder: "/home/a/Cairn".to_owned(),
        server: "https://cairn.example".to_owned(),
        local_nodes: 3,
        remote_nodes: 3,
        pending: 0,
        in_sync: activity == Activity::Idle,
        upload: Transfer::default(),
        download: Transfer::default(),
        problems: Vec::new(),
        passes,
        full_passes: passes,
        ignored: 0,
        unsure: 0,
        held_deletes: 0,
        watching: Watching::Fully,
        reread_files: 0,
    }
}

/// A daemon that does what it is told, and counts how often it is told to sync.
struct Fake {
    status: watch::Sender<Status>,
    asked: AtomicU64,
    /// Whether the next pass that is asked for ends early, and another one follows that does not look at everything.
    is_cut: AtomicBool,
    stop: CancellationToken,
}

#[async_trait]
impl Controlled for Fake {
    fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    async fn pause(&self) -> StateResult<()> {
        self.status
            .send_modify(|status| status.activity = Activity::Paused);
        Ok(())
    }

    async fn resume(&self, _release_deletes: bool) -> StateResult<()> {
        self.status.send_modify(|status| status.activity = Activity::Idle);
        Ok(())
    }

    fn sync_now(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let is_cut = self.is_cut.swap(false, Ordering::Relaxed);
        self.status.send_modify(|status| {
            status.passes += if is_cut { 2 } else { 1 };
            status.full_passes += u64::from(!is_cut);
        });
    }

    async fn activity(&self, limit: usize) -> StateResult<Vec<ActivityEntry>> {
        let entry = |index| ActivityEntry {
            at_ms: 1_000,
            what: "uploaded".to_owned(),
            path: format!("{index}"),
        };
        Ok((0..limit).map(entry).collect())
    }

    fn stop(&self) {
        self.stop.cancel();
    }
}

struct Running {
    folder: tempfile::TempDir,
    fake: Arc<Fake>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(status: Status) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let fake = Fake {
            status: watch::Sender::new(status),
            asked: AtomicU64::new(0),
            is_cut: AtomicBool::new(false),
            stop: stop.clone(),
        };
        let fake = Arc::new(fake);
        let server = ControlServer::bind(&folder.path().join("control.sock"))
            .await
            .unwrap();
        let task = tokio::spawn(server.serve(Arc::clone(&fake) as Arc<dyn Controlled>, stop));
        Self { folder, fake, task }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("control.sock")
    }

    async fn ask(&self, request: Request) -> Result<Reply, ControlError> {
        ask(&self.path(), &request).await
    }
}

#[tokio::test]
async fn every_question_has_its_answer() {
    let running = Running::start(status(Activity::Idle, 1)).await;
    let idle = status(Activity::Idle, 1);
    assert_eq!(
        running.ask(Request::Status).await.unwrap(),
        Reply::Status { status: idle }
    );
    assert_eq!(running.ask(Request::Pause).await.unwrap(), Reply::Done);
    assert_eq!(running.fake.status.borrow().activity, Activity::Paused);
    assert_eq!(
        running
            .ask(Request::Resume {
                release_deletes: false
            })
            .await
            .unwrap(),
        Reply::Done
    );
    assert_eq!(running.ask(Request::SyncNow).await.unwrap(), Reply::Done);
    assert_eq!(running.fake.asked.load(Ordering::Relaxed), 1);
    let Reply::Activity { entries } = running.ask(Request::Activity { limit: 5_000 }).await.unwrap() else {
        panic!("not an activity");
    };
    assert_eq!(entries.len(), ACTIVITY_LINES);
}

#[tokio::test]
async fn stopping_is_answered_and_removes_the_socket() {
    let running = Running::start(status(Activity::Idle, 1)).await;
    assert_eq!(running.ask(Request::Stop).await.unwrap(), Reply::Done);
    let path = running.path();
    running.task.await.unwrap();
    assert!(!path.exists());
    let error = ask(&path, &Request::Status).await.unwrap_err();
    assert!(matches!(error, ControlError::NotRunning { .. }), "{error}");
}

#[tokio::test]
async fn waiting_asks_for_a_pass_that_begins_after_the_question() {
    let running = Running::start(status(Activity::Idle, 7)).await;
    let Reply::Waited { timed_out, status } = running.ask(Request::Wait { timeout_ms: None }).await.unwrap()
    else {
        panic!("not waited");
    };
    assert!(!timed_out && status.in_sync);
    assert_eq!(status.full_passes, 8);
}

#[tokio::test]
async fn waiting_asks_again_when_the_pass_that_it_asked_for_ended_early() {
    let running = Running::start(status(Activity::Idle, 7)).await;
    running.fake.is_cut.store(true, Ordering::Relaxed);
    let Reply::Waited { timed_out, status } = running.ask(Request::Wait { timeout_ms: None }).await.unwrap()
    else {
        panic!("not waited");
    };
    assert!(!timed_out && status.in_sync);
    assert_eq!(status.full_passes, 8);
    assert_eq!(running.fake.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_pass_that_runs_already_is_not_enough() {
    let running = Running::start(status(Activity::Scanning, 7)).await;
    let path = running.path();
    let wait = tokio::spawn(async move { ask(&path, &Request::Wait { timeout_ms: None }).await });
    while running.fake.status.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    running
        .fake
        .status
        .send_modify(|now| *now = status(Activity::Idle, 8));
    let Reply::Waited { status, .. } = wait.await.unwrap().unwrap() else {
        panic!("not waited");
    };
    assert_eq!(status.full_passes, 9);
    assert_eq!(running.fake.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn waiting_ends_when_the_time_is_up_or_waiting_is_useless() {
    let running = Running::start(status(Activity::Offline, 1)).await;
    let reply = running.ask(Request::Wait { timeout_ms: Some(1) }).await.unwrap();
    assert!(
        matches!(reply, Reply::Waited { timed_out: true, .. }),
        "{reply:?}"
    );
    running.ask(Request::Pause).await.unwrap();
    let reply = running.ask(Request::Wait { timeout_ms: None }).await.unwrap();
    let Reply::Waited {
        timed_out: false,
        status,
    } = reply
    else {
        panic!("{reply:?}");
    };
    assert_eq!(status.activity, Activity::Paused);
}

#[tokio::test]
async fn a_socket_has_one_owner_and_a_dead_one_is_replaced() {
    let running = Running::start(status(Activity::Idle, 1)).await;
    let error = ControlServer::bind(&running.path()).await.unwrap_err();
    assert!(matches!(error, ControlError::AlreadyRunning { .. }), "{error}");

    let dead = running.folder.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let error = ask(&dead, &Request::Status).await.unwrap_err();
    assert!(matches!(error, ControlError::NotRunning { .. }), "{error}");
    let server = ControlServer::bind(&dead).await.unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&dead).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    drop(server);
    assert!(!dead.exists());
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let running = Running::start(status(Activity::Idle, 1)).await;
    let conversation = async |bytes: &[u8]| -> Option<Reply> {
        let mut socket = UnixStream::connect(running.path()).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        socket.shutdown().await.unwrap();
        message::receive(&mut socket, &running.path(), REPLY_BYTES)
            .await
            .unwrap()
    };
    let is_refused = |reply: Option<Reply>| matches!(reply, Some(Reply::Refused { .. }));
    assert!(is_refused(conversation(&u32::MAX.to_le_bytes()).await));
    assert!(is_refused(conversation(b"\x02\0\0\0{}").await));
    assert!(is_refused(conversation(b"\x09\0\0\0{").await));
    assert!(conversation(b"\x09\0").await.is_none());
    // A client that goes away takes nothing with it.
    let mut socket = UnixStream::connect(running.path()).await.unwrap();
    message::send(
        &mut socket,
        &running.path(),
        REQUEST_BYTES,
        &Request::Wait { timeout_ms: None },
    )
    .await
    .unwrap();
    drop(socket);
    assert_eq!(running.ask(Request::Pause).await.unwrap(), Reply::Done);
    let mut socket = UnixStream::connect(running.path()).await.unwrap();
    let mut rest = Vec::new();
    socket.shutdown().await.unwrap();
    socket.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_named() {
    let path = std::path::PathBuf::from(format!("/tmp/{}/control.sock", "x".repeat(120)));
    let error = ask(&path, &Request::Status).await.unwrap_err();
    assert!(matches!(error, ControlError::PathTooLong { .. }), "{error}");
    let error = ControlServer::bind(&path).await.unwrap_err();
    assert!(matches!(error, ControlError::PathTooLong { .. }), "{error}");
}
