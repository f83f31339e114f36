//! Answers for the daemon.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::client::connect;
use super::message::{io_error, receive, send};
use super::{
    ACTIVITY_LINES, CONNECTIONS, ControlError, Controlled, PATIENCE, REPLY_BYTES, REQUEST_BYTES, Reply,
    Request,
};
use crate::status::{Activity, Status};

/// Bytes of a socket's path, the end left out. *Source:* unix(7), `sun_path`.
const PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// How long to wait when a connection cannot be taken: the process has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long an order to go on may take to show.
const RESUME_PATIENCE: Duration = Duration::from_secs(2);

/// A socket that is listened on. Removed when this is dropped.
#[derive(Debug)]
pub struct ControlServer {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlServer {
    /// Listens at `path`, whose folder exists. A socket that a killed process left there is replaced.
    ///
    /// # Errors
    /// [`ControlError::AlreadyRunning`] when somebody answers there, [`ControlError::PathTooLong`],
    /// [`ControlError::Io`].
    pub async fn bind(path: &Path) -> Result<Self, ControlError> {
        match connect(path).await {
            Ok(_) => {
                return Err(ControlError::AlreadyRunning {
                    path: path.to_owned(),
                });
            }
            Err(ControlError::NotRunning { .. }) => {}
            Err(error) => return Err(error),
        }
        // Made under another name, so that nobody can connect before it is private.
        let made = path.with_extension("new");
        check_length(&made)?;
        match std::fs::remove_file(&made) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_error("remove", &made, error));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&made).map_err(|source| io_error("listen at", path, source))?;
        std::fs::set_permissions(&made, PermissionsExt::from_mode(0o600))
            .and_then(|()| std::fs::rename(&made, path))
            .map_err(|source| io_error("listen at", path, source))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// Answers until `stop` is cancelled, then removes the socket.
    pub async fn serve(self, daemon: Arc<dyn Controlled>, stop: CancellationToken) {
        let path = self.path.clone();
        self.serve_each(stop, |socket| Box::pin(answer(socket, &path, daemon.as_ref())))
            .await;
    }

    /// Runs `conversation` with each connection, some of them at once, until `stop` is cancelled.
    pub async fn serve_each<'a>(
        self,
        stop: CancellationToken,
        conversation: impl Fn(UnixStream) -> Pin<Box<dyn Future<Output = Result<(), ControlError>> + Send + 'a>>,
    ) {
        let mut connections = FuturesUnordered::new();
        loop {
            let has_room = connections.len() < CONNECTIONS;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(end) = connections.next(), if !connections.is_empty() => {
                    if let Err(error) = end {
                        tracing::debug!(%error, "a conversation on the control socket failed");
                    }
                }
                accepted = self.listener.accept(), if has_room => match accepted {
                    Ok((socket, _)) => connections.push(conversation(socket)),
                    Err(error) => {
                        tracing::warn!(%error, "cannot take a connection on the control socket");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        // Who asked for the stop shall have the answer; who waits for something else has to go.
        let rest = async { while connections.next().await.is_some() {} };
        if timeout(ACCEPT_PAUSE, rest).await.is_err() {
            tracing::debug!("conversations on the control socket were cut");
        }
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket could not be removed");
        }
    }
}

/// Refuses a path that the system would refuse with less to say.
pub(super) fn check_length(path: &Path) -> Result<(), ControlError> {
    if path.as_os_str().as_bytes().len() > PATH_BYTES {
        return Err(ControlError::PathTooLong {
            path: path.to_owned(),
            limit: PATH_BYTES,
        });
    }
    Ok(())
}

async fn answer(mut socket: UnixStream, path: &Path, daemon: &dyn Controlled) -> Result<(), ControlError> {
    let request = match timeout(PATIENCE, receive(&mut socket, path, REQUEST_BYTES)).await {
        Ok(Ok(Some(request))) => request,
        Ok(Ok(None)) => return Ok(()),
        Ok(Err(error)) => {
            let message = error.to_string();
            return send(&mut socket, path, REPLY_BYTES, &Reply::Refused { message }).await;
        }
        Err(_) => return Ok(()),
    };
    let is_stop = request == Request::Stop;
    let reply = tokio::select! {
        reply = answer_to(request, daemon) => reply,
        // Nothing more is said by a client that waits: what is read here is its going away.
        _ = socket.read_u8() => return Ok(()),
    };
    let sent = timeout(PATIENCE, send(&mut socket, path, REPLY_BYTES, &reply)).await;
    if is_stop {
        daemon.stop();
    }
    sent.unwrap_or(Ok(()))
}

/// The daemon's answer to a request, as the socket would carry it.
pub async fn answer_to(request: Request, daemon: &dyn Controlled) -> Reply {
    match request {
        Request::Status => Reply::Status {
            status: daemon.status().borrow().clone(),
        },
        Request::Pause => match daemon.pause().await {
            Ok(()) => Reply::Done,
            Err(error) => refused(&error),
        },
        Request::Resume { release_deletes } => {
            let mut watched = daemon.status();
            if let Err(error) = daemon.resume(release_deletes).await {
                return refused(&error);
            }
            // Who waits next shall not see the pause that is over.
            let resumed = watched.wait_for(|status| status.activity != Activity::Paused);
            if timeout(RESUME_PATIENCE, resumed).await.is_err() {
                tracing::debug!("the daemon did not go on at once");
            }
            Reply::Done
        }
        Request::SyncNow => {
            daemon.sync_now();
            Reply::Done
        }
        Request::Stop => Reply::Done,
        request @ (Request::Conflicts
        | Request::Resolve { .. }
        | Request::AutoMerge { .. }
        | Request::Limit { .. }) => steered(request, daemon).await,
        Request::Why { path } => match daemon.why(&path).await {
            Ok(Some(explanation)) => Reply::Why { explanation },
            Ok(None) => unable(),
            Err(error) => refused(&error),
        },
        Request::Verify { folder, quick } => match daemon.verify(&folder, quick).await {
            Ok(Some(report)) => Reply::Verified { report },
            Ok(None) => unable(),
            Err(error) => refused(&error),
        },
        Request::Exclude { paths, keep } => exclude(daemon, &paths, keep).await,
        Request::Activity { limit } => match daemon.activity(limit.min(ACTIVITY_LINES)).await {
            Ok(entries) => Reply::Activity { entries },
            Err(error) => Reply::Refused {
                message: error.to_string(),
            },
        },
        Request::Wait { timeout_ms: None } => {
            let status = settled(daemon).await;
            Reply::Waited {
                timed_out: false,
                status,
            }
        }
        Request::Wait { timeout_ms: Some(ms) } => {
            match timeout(Duration::from_millis(ms), settled(daemon)).await {
                Ok(status) => Reply::Waited {
                    timed_out: false,
                    status,
                },
                Err(_) => Reply::Waited {
                    timed_out: true,
                    status: daemon.status().borrow().clone(),
                },
            }
        }
    }
}

async fn exclude(daemon: &dyn Controlled, paths: &[String], keep: bool) -> Reply {
    let Some(exclusions) = daemon.exclusions() else {
        return Reply::Excluded { folders: Vec::new() };
    };
    match exclusions.change(paths, keep).await {
        Ok(folders) => {
            if !paths.is_empty() {
                daemon.sync_now();
            }
            Reply::Excluded { folders }
        }
        Err(error) => Reply::Refused {
            message: error.to_string(),
        },
    }
}

/// The answer about conflicts and limits.
async fn steered(request: Request, daemon: &dyn Controlled) -> Reply {
    match request {
        Request::Resolve { resolution } => or_refused(daemon.resolve(&resolution).await, |resolved| {
            Reply::Resolved { resolved }
        }),
        Request::AutoMerge { on } => or_refused(daemon.auto_merge(on).await, |on| Reply::AutoMerge { on }),
        Request::Limit { rates } => or_refused(daemon.limit(rates).await, |rates| Reply::Limits { rates }),
        _ => or_refused(daemon.conflicts().await, |conflicts| Reply::Conflicts {
            conflicts,
        }),
    }
}

/// The answer, or the sentence that says why there is none.
fn or_refused<T, E: std::error::Error>(result: Result<T, E>, reply: impl FnOnce(T) -> Reply) -> Reply {
    match result {
        Ok(answer) => reply(answer),
        Err(error) => {
            let mut message = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                let text = error.to_string();
                if !message.ends_with(&text) {
                    message = format!("{message}: {text}");
                }
                cause = error.source();
            }
            Reply::Refused { message }
        }
    }
}

/// Waits for a pass that began after the question and left everything in sync, or for a state that waiting does not
/// mend.
async fn settled(daemon: &dyn Controlled) -> Status {
    let mut watched = daemon.status();
    let first = watched.borrow_and_update().clone();
    // A pass that is under way may have looked at the disk before the question: the one after it counts.
    let is_under_way = matches!(
        first.activity,
        Activity::Starting | Activity::Scanning | Activity::Syncing
    );
    let enough = first.full_passes + if is_under_way { 2 } else { 1 };
    let mut last_asked = None;
    loop {
        let status = watched.borrow_and_update().clone();
        if matches!(status.activity, Activity::Paused | Activity::Blocked) {
            return status;
        }
        let is_idle = status.activity == Activity::Idle;
        if status.full_passes >= enough && is_idle && (status.in_sync || !status.problems.is_empty()) {
            return status;
        }
        // The pass that was asked for may have ended early, and the one that came after it may not look at everything.
        if is_idle && last_asked != Some(status.passes) {
            last_asked = Some(status.passes);
            daemon.sync_now();
        }
        if watched.changed().await.is_err() {
            return status;
        }
    }
}

fn refused(error: &dyn std::error::Error) -> Reply {
    Reply::Refused {
        message: error.to_string(),
    }
}

fn unable() -> Reply {
    Reply::Refused {
        message: "this daemon cannot tell".to_owned(),
    }
}
