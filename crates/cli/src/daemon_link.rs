//! Runs the daemon of a linked device, and lets other commands speak to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_client::conflicts::{Conflict, ConflictError, Resolution, Resolved};
use cairn_client::control::{self, ActivityEntry, ControlError, ControlServer, Controlled, Reply, Request};
use cairn_client::daemon::{Command, Daemon, DaemonConfig, DaemonError, LimitError, MassDeletePolicy};
use cairn_client::exclude::Exclusions;
use cairn_client::profile::Profile;
use cairn_client::remote::limited::Rates;
use cairn_client::state::StateResult;
use cairn_client::status::{Activity, Status};
use cairn_client::verify::VerifyReport;
use cairn_client::why::Explanation;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::App;
use crate::error::{CliError, CliResult, Exit};
use crate::signals;
use crate::ui::format;
use crate::ui::progress::{Meter, Shown};
use crate::wiping;

/// How long a pass that is under way may go on after a stop was asked for. What is cut is taken up by the next start.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// A daemon as the control socket sees it.
struct Link {
    daemon: Arc<Daemon>,
    stop: CancellationToken,
}

#[async_trait]
impl Controlled for Link {
    fn status(&self) -> watch::Receiver<Status> {
        self.daemon.status()
    }

    async fn pause(&self) -> StateResult<()> {
        self.daemon.command(Command::Pause);
        self.daemon.keep_pause().await
    }

    async fn resume(&self, release_deletes: bool) -> StateResult<()> {
        if release_deletes {
            self.daemon.command(Command::ReleaseDeletes);
        }
        self.daemon.command(Command::Resume);
        self.daemon.keep_pause().await
    }

    fn sync_now(&self) {
        self.daemon.command(Command::SyncNow);
    }

    async fn activity(&self, limit: usize) -> StateResult<Vec<ActivityEntry>> {
        let newest_first = self.daemon.activity(limit).await?;
        let entries = newest_first
            .into_iter()
            .rev()
            .map(|(at, what, path)| ActivityEntry {
                at_ms: at.as_millis(),
                what,
                path,
            });
        Ok(entries.collect())
    }

    fn exclusions(&self) -> Option<Exclusions> {
        Some(self.daemon.exclusions())
    }

    async fn why(&self, path: &str) -> StateResult<Option<Explanation>> {
        self.daemon.why(path).await.map(Some)
    }

    async fn verify(&self, folder: &str, is_quick: bool) -> Result<Option<VerifyReport>, DaemonError> {
        self.daemon.verify(folder, is_quick).await.map(Some)
    }

    async fn conflicts(&self) -> Result<Vec<Conflict>, ConflictError> {
        self.daemon.conflicts().await
    }

    async fn resolve(&self, resolution: &Resolution) -> Result<Resolved, ConflictError> {
        self.daemon.resolve_conflict(resolution).await
    }

    async fn auto_merge(&self, on: Option<bool>) -> StateResult<bool> {
        self.daemon.auto_merge(on).await
    }

    async fn limit(&self, rates: Option<Rates>) -> Result<Rates, LimitError> {
        self.daemon.limit(rates).await
    }

    fn stop(&self) {
        self.stop.cancel();
    }
}

/// Asks the daemon, or what it would know, under its lock, when none runs.
pub(crate) async fn ask(app: &App, request: Request) -> CliResult<Reply> {
    let reply = match control::ask(&app.home.control_socket(), &request).await {
        Err(ControlError::NotRunning { .. }) => {
            let profile = app.home.profile()?;
            let Some(folder) = profile.folder.clone() else {
                return Err(
                    CliError::failed("no folder is synced here").next("begin with \"cairn start DIR\"")
                );
            };
            let running = Box::pin(Running::open(app, profile, &folder)).await?;
            Ok(running.answer(request).await)
        }
        reply => reply,
    };
    match reply {
        Ok(Reply::Refused { message }) | Err(ControlError::Refused { message }) => {
            Err(CliError::refused(message))
        }
        reply => Ok(reply?),
    }
}

/// A daemon that has its folder, its state and its socket.
pub(crate) struct Running<'app> {
    app: &'app App,
    profile: Profile,
    daemon: Arc<Daemon>,
    socket: ControlServer,
}

impl<'app> Running<'app> {
    /// Opens the daemon of this device for a folder, and remembers the folder in the profile.
    /// A device that is being wiped goes on with that instead.
    pub(crate) async fn open(app: &'app App, mut profile: Profile, folder: &Path) -> CliResult<Self> {
        app.home.make()?;
        if wiping::is_begun(app.home.path())? {
            let stop = signals::stop_token()?;
            wiping::go_on(app, &profile, stop).await?;
        }
        let socket = ControlServer::bind(&app.home.control_socket()).await?;
        let folder = settle_folder(&mut profile, folder)?;
        let config = DaemonConfig {
            profile: profile.clone(),
            home: app.home.path().to_owned(),
            folder: folder.clone(),
        };
        let daemon = Box::pin(Daemon::open(config, app.runtime.clone())).await?;
        if profile.folder.as_ref() != Some(&folder) {
            profile.folder = Some(folder);
            profile.save(app.home.path())?;
        }
        Ok(Self {
            app,
            profile,
            daemon: Arc::new(daemon),
            socket,
        })
    }

    /// Answers one request and ends.
    pub(crate) async fn answer(self, request: Request) -> Reply {
        let link = Link {
            daemon: Arc::clone(&self.daemon),
            stop: CancellationToken::new(),
        };
        let reply = control::answer_to(request, &link).await;
        drop(link);
        if let Some(daemon) = Arc::into_inner(self.daemon) {
            daemon.close().await;
        }
        reply
    }

    /// The daemon's state, as it changes.
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.daemon.status()
    }

    /// Keeps the folder in sync until `stop`, or until `cairn stop`, which cancels it.
    pub(crate) async fn run(self, stop: CancellationToken) -> CliResult {
        let stopped_late = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_PATIENCE).await;
        };
        let (app, profile) = (self.app, self.profile.clone());
        let result = self
            .beside_socket(stop.clone(), async |daemon| {
                tokio::select! {
                    result = Box::pin(daemon.run(stop.clone())) => result,
                    () = stopped_late => Ok(()),
                }
            })
            .await;
        if let Err(DaemonError::WipeAsked { everything }) = result {
            return wiping::begin(app, &profile, everything, stop).await;
        }
        // The socket ends with the daemon.
        stop.cancel();
        Ok(result?)
    }

    /// What is meant by a release of held deletions, for the pass that follows.
    pub(crate) fn release_deletes(&self) {
        self.daemon.command(Command::ReleaseDeletes);
    }

    /// Remembers what happens when most of the files vanish at once.
    pub(crate) async fn set_mass_delete_policy(&self, policy: MassDeletePolicy) -> CliResult {
        Ok(self.daemon.set_mass_delete_policy(policy).await?)
    }

    /// Answers `cairn why` where no daemon runs.
    pub(crate) async fn why(self, path: &str) -> CliResult<Explanation> {
        self.daemon
            .why(path)
            .await
            .map_err(|error| DaemonError::State(error).into())
    }

    /// Answers `cairn verify` where no daemon runs.
    pub(crate) async fn verify(self, folder: &str, is_quick: bool) -> CliResult<VerifyReport> {
        Ok(Box::pin(self.daemon.verify(folder, is_quick)).await?)
    }

    /// Syncs until both sides agree, or until `stop`.
    pub(crate) async fn once(self, stop: CancellationToken) -> CliResult<Status> {
        let (app, profile) = (self.app, self.profile.clone());
        let result = self
            .beside_socket(stop.clone(), async |daemon| {
                tokio::select! {
                    result = Box::pin(daemon.run_once()) => result.map(Some),
                    () = stop.cancelled() => Ok(None),
                }
            })
            .await;
        if let Err(DaemonError::WipeAsked { everything }) = result {
            wiping::begin(app, &profile, everything, stop.clone()).await?;
        }
        stop.cancel();
        result?.ok_or_else(|| {
            CliError::failed("stopped before everything was in sync").next("run the command again")
        })
    }

    async fn beside_socket<T>(self, stop: CancellationToken, work: impl AsyncFnOnce(&Daemon) -> T) -> T {
        let link = Link {
            daemon: Arc::clone(&self.daemon),
            stop: stop.clone(),
        };
        let end_of_socket = stop.child_token();
        let socket = self.socket.serve(Arc::new(link), end_of_socket.clone());
        let working = async {
            let result = work(&self.daemon).await;
            end_of_socket.cancel();
            result
        };
        let (result, ()) = tokio::join!(working, socket);
        if let Some(daemon) = Arc::into_inner(self.daemon) {
            daemon.close().await;
        }
        result
    }
}

/// The folder as an absolute path. One that is another than before is refused: its state is that of the other.
fn settle_folder(profile: &mut Profile, folder: &Path) -> CliResult<PathBuf> {
    let absolute = std::path::absolute(folder).map_err(|error| CliError::io("find", folder, error))?;
    let absolute = absolute.canonicalize().unwrap_or(absolute);
    match &profile.folder {
        Some(before) if *before != absolute => Err(CliError::refused(format!(
            "this device keeps {} in sync already, not {}",
            before.display(),
            absolute.display()
        ))
        .next("name that folder, or set CAIRN_HOME to another home for a second device")),
        _ => Ok(absolute),
    }
}

/// Shows the state of a daemon in the foreground for as long as `work` runs.
pub(crate) async fn show_while<T>(
    app: &App,
    status: watch::Receiver<Status>,
    work: impl Future<Output = T>,
) -> T {
    Meter::new(app.ui).during(work, || shown(&status.borrow())).await
}

/// The same for a daemon that runs for ever: on a terminal its state, elsewhere a line when that changes.
pub(crate) async fn follow<T>(
    app: &App,
    mut status: watch::Receiver<Status>,
    work: impl Future<Output = T>,
) -> T {
    if app.ui.has_live_line || app.ui.quiet {
        return show_while(app, status, work).await;
    }
    let telling = async {
        let mut told = String::new();
        loop {
            let text = summary(&status.borrow_and_update());
            if text != told {
                app.ui.note(format!("cairn: {text}"));
                told = text;
            }
            if status.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        result = work => result,
        () = telling => unreachable!("telling never ends"),
    }
}

/// One line for a state that lasts: nothing that changes with every byte.
pub(crate) fn summary(status: &Status) -> String {
    let problems = match status.problems.len() as u64 {
        0 => String::new(),
        count => format!(", {}", format::count(count, "problem")),
    };
    match status.activity {
        Activity::Idle if status.in_sync => format!("up to date{problems}"),
        // Passes follow one another: which step one is in matters to nobody who reads it later.
        Activity::Starting | Activity::Scanning | Activity::Syncing => "syncing".to_owned(),
        other => format!("{}{problems}", word(other)),
    }
}

/// What the live line says of a daemon.
pub(crate) fn shown(status: &Status) -> Shown {
    let is_sending = status.upload.bytes_done < status.upload.bytes_total;
    let transfer = if is_sending {
        status.upload
    } else {
        status.download
    };
    let label = match status.activity {
        Activity::Syncing if is_sending => "sending".to_owned(),
        Activity::Syncing if transfer.bytes_done < transfer.bytes_total => "fetching".to_owned(),
        other => word(other).to_owned(),
    };
    let shows_bytes = status.activity == Activity::Syncing;
    Shown {
        label,
        transfer: if shows_bytes { transfer } else { Default::default() },
    }
}

/// The word for an activity, the same everywhere.
pub(crate) const fn word(activity: Activity) -> &'static str {
    match activity {
        Activity::Starting => "starting",
        Activity::Scanning => "scanning",
        Activity::Syncing => "syncing",
        Activity::Idle => "idle",
        Activity::Paused => "paused",
        Activity::Offline => "offline",
        Activity::Blocked => "blocked",
    }
}

impl From<DaemonError> for CliError {
    fn from(error: DaemonError) -> Self {
        match error {
            DaemonError::Remote(error) => error.into(),
            DaemonError::Lock(error) => error.into(),
            DaemonError::MassDelete { .. } => Self::new(Exit::Refused, error.to_string()),
            DaemonError::Unfinished { .. } => {
                Self::failed(error.to_string()).next("mend that, and run the command again")
            }
            _ => Self::failed(error.to_string()).because(error),
        }
    }
}
