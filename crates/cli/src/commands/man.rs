//! `cairn man`: the manual pages, for packagers.

use std::path::PathBuf;

use clap::CommandFactory;

use crate::App;
use crate::args::Cli;
use crate::error::{CliError, CliResult};

/// Options of `cairn man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write a page for each command into this folder, instead of the first page to stdout
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    if let Some(folder) = args.folder {
        return clap_mangen::generate_to(Cli::command(), &folder)
            .map_err(|error| CliError::io("write the pages to", &folder, error));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|error| CliError::failed("the page cannot be made").because(error))?;
    app.ui.bytes(&page)
}
