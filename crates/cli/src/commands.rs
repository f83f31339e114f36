//! The commands, a file each.

pub(crate) mod activity;
pub(crate) mod admin;
pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod conflicts;
pub(crate) mod cp;
pub(crate) mod daemon;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod exclude;
pub(crate) mod extract_text;
pub(crate) mod get;
pub(crate) mod limit;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod mkdir;
pub(crate) mod mv;
pub(crate) mod pause;
pub(crate) mod put;
pub(crate) mod restore;
pub(crate) mod revs;
pub(crate) mod rm;
pub(crate) mod second_factor;
pub(crate) mod serve;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod sync;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod verify;
pub(crate) mod wait;
pub(crate) mod whoami;
pub(crate) mod why;

use std::pin::Pin;

use crate::App;
use crate::args::Command;
use crate::error::CliResult;
use crate::logging::{self, LogFormat};

/// Runs a command. Each future is boxed: together they would be as large as the largest.
pub(crate) async fn run(app: &App, command: Command) -> CliResult {
    if !logs_itself(&command) {
        logging::start("warn", LogFormat::Text)?;
    }
    let running: Pin<Box<dyn Future<Output = CliResult> + '_>> = match command {
        Command::Up(args) => Box::pin(up::run(app, args)),
        Command::Serve(args) => Box::pin(serve::run(app, args)),
        Command::Admin(args) => Box::pin(admin::run(app, args)),
        Command::Login(args) => Box::pin(login::run(app, args)),
        Command::Logout(args) => Box::pin(logout::run(app, args)),
        Command::Whoami => Box::pin(whoami::run(app)),
        Command::Devices(args) => Box::pin(devices::run(app, args)),
        Command::SecondFactor(args) => Box::pin(second_factor::run(app, args)),
        Command::Token(args) => Box::pin(token::run(app, args)),
        Command::Sync(args) => Box::pin(sync::run(app, args)),
        Command::Start(args) => Box::pin(start::run(app, args)),
        Command::Stop => Box::pin(stop::run(app)),
        Command::Pause => Box::pin(pause::pause(app)),
        Command::Resume(args) => Box::pin(pause::resume(app, args)),
        Command::Status(args) => Box::pin(status::run(app, args)),
        Command::Wait(args) => Box::pin(wait::run(app, args)),
        Command::Verify(args) => Box::pin(verify::run(app, args)),
        Command::Why(args) => Box::pin(why::run(app, args)),
        Command::Activity(args) => Box::pin(activity::run(app, args)),
        Command::Exclude(args) => Box::pin(exclude::run(app, args)),
        Command::Conflicts(args) => Box::pin(conflicts::run(app, args)),
        Command::Limit(args) => Box::pin(limit::run(app, args)),
        Command::Doctor => Box::pin(doctor::run(app)),
        Command::Ls(args) => Box::pin(ls::run(app, args)),
        Command::Cat(args) => Box::pin(cat::run(app, args)),
        Command::Get(args) => Box::pin(get::run(app, args)),
        Command::Put(args) => Box::pin(put::run(app, args)),
        Command::Mkdir(args) => Box::pin(mkdir::run(app, args)),
        Command::Mv(args) => Box::pin(mv::run(app, args)),
        Command::Cp(args) => Box::pin(cp::run(app, args)),
        Command::Rm(args) => Box::pin(rm::run(app, args)),
        Command::Revs(args) => Box::pin(revs::run(app, args)),
        Command::Restore(args) => Box::pin(restore::run(app, args)),
        Command::Completions(args) => Box::pin(completions::run(app, args)),
        Command::Man(args) => Box::pin(man::run(app, args)),
        Command::Daemon(args) => Box::pin(daemon::run(app, args)),
        Command::ExtractText(args) => Box::pin(std::future::ready(extract_text::run(args))),
    };
    running.await
}

/// The long-running ones say themselves what they log.
const fn logs_itself(command: &Command) -> bool {
    matches!(command, Command::Up(_) | Command::Serve(_) | Command::Daemon(_))
}
