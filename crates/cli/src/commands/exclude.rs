//! `cairn exclude`: which folders of the server this device does not keep.

use cairn_client::control::{self, ControlError, Reply, Request};
use cairn_client::exclude::{ExcludeError, ExcludedFolder, Exclusions};
use serde_json::json;

use crate::App;
use crate::error::{CliError, CliResult};

/// Options of `cairn exclude`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders on the server that this device shall not keep; without any, those that it does not keep are listed
    paths: Vec<String>,
    /// Keep these folders again
    #[arg(long, requires = "paths")]
    remove: bool,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let Args { paths, remove } = args;
    let folders = ask(app, &paths, remove).await?;
    if app.ui.json {
        return app.ui.json(&json!({ "excluded": folders, "removed": remove }));
    }
    if paths.is_empty() {
        if folders.is_empty() {
            return app.ui.done("This device keeps every folder.");
        }
        return app
            .ui
            .line(folders.iter().map(listed).collect::<Vec<_>>().join("\n"));
    }
    let names: Vec<&str> = folders.iter().map(|folder| folder.path.as_str()).collect();
    let names = names.join(", ");
    app.ui.done(if remove {
        format!("Keeping {names} again; what the server has of it comes back.")
    } else {
        format!("Not keeping {names} any more: it goes from this disk when the server has all of it, and stays there.")
    })
}

fn listed(folder: &ExcludedFolder) -> String {
    if folder.is_on_server {
        folder.path.clone()
    } else {
        format!("{} (not on the server now)", folder.path)
    }
}

/// By way of the daemon, or on the state itself when none runs.
async fn ask(app: &App, paths: &[String], remove: bool) -> CliResult<Vec<ExcludedFolder>> {
    let request = Request::Exclude {
        paths: paths.to_vec(),
        keep: remove,
    };
    match control::ask(&app.home.control_socket(), &request).await {
        Ok(Reply::Excluded { folders }) => Ok(folders),
        Ok(_) => {
            Err(CliError::failed("the daemon gave another answer")
                .next("run \"cairn stop\" and start it anew"))
        }
        Err(ControlError::Refused { message }) => Err(CliError::refused(message)),
        Err(ControlError::NotRunning { .. }) => {
            let profile = app.home.profile()?;
            let work = async |exclusions: &Exclusions| exclusions.change(paths, remove).await;
            Ok(Box::pin(Exclusions::at_rest(app.home.path(), profile.root, work)).await?)
        }
        Err(error) => Err(error.into()),
    }
}

impl From<ExcludeError> for CliError {
    fn from(error: ExcludeError) -> Self {
        match error {
            ExcludeError::Lock(error) => error.into(),
            ExcludeError::State(error) => Self::failed(error.to_string()).because(error),
            error => Self::refused(error.to_string()),
        }
    }
}
