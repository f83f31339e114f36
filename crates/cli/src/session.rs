//! The server that this device is linked to.

use std::sync::Arc;

use cairn_client::files::RemoteFiles;
use cairn_client::profile::Profile;
use cairn_client::progress::{DirectionSnapshot, Progress};
use cairn_client::remote::Remote;
use cairn_client::remote::http::{HttpRemote, ParseFingerprintError, Trust};
use cairn_client::status::Transfer;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::ui::progress::{Meter, Shown};

/// A linked device and the way to its server.
pub(crate) struct Session {
    pub(crate) profile: Profile,
    pub(crate) remote: Arc<dyn Remote>,
    pub(crate) files: RemoteFiles,
}

impl Session {
    /// Reads the profile; connects with the first call.
    pub(crate) fn open(app: &App) -> CliResult<Self> {
        Self::of(app, app.home.profile()?)
    }

    /// The same for a profile that is known.
    pub(crate) fn of(app: &App, profile: Profile) -> CliResult<Self> {
        let progress = Progress::new();
        let trust = trust(&profile)?;
        let remote = HttpRemote::new(
            &profile.server,
            profile.token.expose(),
            trust,
            Arc::clone(&progress),
        )?;
        let remote: Arc<dyn Remote> = Arc::new(remote);
        let files = RemoteFiles {
            remote: Arc::clone(&remote),
            namespace: profile.root,
            runtime: app.runtime.clone(),
            progress,
        };
        Ok(Self {
            profile,
            remote,
            files,
        })
    }

    /// Shows how far sending or fetching is while `work` runs.
    pub(crate) async fn show_while<T>(&self, app: &App, label: &str, work: impl Future<Output = T>) -> T {
        let progress = Arc::clone(&self.files.progress);
        let read = move || {
            let snapshot = progress.snapshot();
            let (up, down) = (snapshot.up, snapshot.down);
            let busy = if up.bytes_total + up.bytes_done > 0 {
                up
            } else {
                down
            };
            Shown {
                label: label.to_owned(),
                transfer: transfer(busy),
            }
        };
        Meter::new(app.ui).during(work, read).await
    }
}

/// What makes the server's certificate good.
pub(crate) fn trust(profile: &Profile) -> CliResult<Trust> {
    match &profile.certificate_fingerprint {
        None => Ok(Trust::Platform),
        Some(text) => text
            .parse()
            .map(Trust::Pinned)
            .map_err(|error: ParseFingerprintError| {
                CliError::failed("the fingerprint in the profile is damaged")
                    .because(error)
                    .next("link this device again with \"cairn login\"")
            }),
    }
}

fn transfer(direction: DirectionSnapshot) -> Transfer {
    direction.into()
}
