//! The one binary of Cairn: server, sync daemon and command line.
//!
//! The only place that builds concrete stores, clocks and sockets. To add a command: a file in `commands/` with its
//! arguments and its `run`, a variant in [`args::Command`], a line in [`commands::run`] and in `docs/cli.md`.

mod administration;
mod args;
mod commands;
mod config;
mod daemon_link;
mod error;
mod history;
mod home;
mod hosting;
mod logging;
mod memory;
mod password;
mod remote_path;
mod runtime;
mod session;
mod signals;
mod telemetry;
mod texts;
mod ui;
mod wiping;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::error::{CliError, CliResult};
use crate::home::Home;
use crate::ui::Ui;

/// What every command is given.
struct App {
    ui: Ui,
    home: Home,
    runtime: cairn_core::runtime::Runtime,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.command.moves_chunks() {
        memory::keep_less();
    }
    let ui = Ui::new(cli.json, cli.quiet, home::no_color());
    match start(cli, ui) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has had enough of it: nothing to complain about.
        Err(error) if error.is_closed_output() => ExitCode::SUCCESS,
        Err(error) => {
            ui::warn(format!("cairn: {error}"));
            ExitCode::from(error.exit as u8)
        }
    }
}

fn start(cli: Cli, ui: Ui) -> CliResult {
    // It needs nothing of what follows, and is to have nothing of it.
    if let Command::ExtractText(args) = &cli.command {
        return commands::extract_text::run(*args);
    }
    let app = App {
        ui,
        home: Home::find()?,
        runtime: runtime::system(),
    };
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("cannot start threads").because(error))?;
    let end = tokio.block_on(async {
        match Box::pin(commands::run(&app, cli.command)).await {
            Err(refusal) if refusal.asks_wipe => Err(wiping::heed(&app, refusal).await),
            end => end,
        }
    });
    // Tasks that nobody waits for, such as the reading of a terminal, must not hold the process.
    tokio.shutdown_background();
    end
}
