//! The command line as clap reads it.

use clap::{Parser, Subcommand};

use crate::commands::{
    activity, admin, cat, completions, conflicts, cp, daemon, devices, exclude, extract_text, get, limit,
    login, logout, ls, man, mkdir, mv, pause, put, restore, revs, rm, second_factor, serve, start, status,
    sync, token, up, verify, wait, why,
};

/// Your files on every device, on a server of your own.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 not linked, 4 not running, 5 conflict or refused, \
    6 network.\nCAIRN_HOME is the folder of this device's profile and state; CAIRN_LOG says what is logged."
)]
pub(crate) struct Cli {
    /// Print results as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print nothing but results and errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole thing on this machine: a server, the first account, a folder that is kept in sync
    Up(up::Args),
    /// Run the server alone
    Serve(serve::Args),
    /// Administer the server whose data is on this machine
    Admin(admin::Args),
    /// Link this device to a server
    Login(login::Args),
    /// Unlink this device; the files on its disk stay
    Logout(logout::Args),
    /// Say whom this device is linked to
    Whoami,
    /// List what is linked to the account, or unlink some of it
    Devices(devices::Args),
    /// Ask for a code of an authenticator besides the password
    SecondFactor(second_factor::Args),
    /// Make, list and revoke tokens for scripts
    Token(token::Args),
    /// Keep a folder in sync, in the foreground
    Sync(sync::Args),
    /// Keep a folder in sync, in the background
    Start(start::Args),
    /// End the daemon in the background
    Stop,
    /// Stop syncing for a while
    Pause,
    /// Go on after a pause
    Resume(pause::ResumeArgs),
    /// Say what the daemon is doing
    Status(status::Args),
    /// Return when everything is in sync
    Wait(wait::Args),
    /// Compare this disk with the server
    Verify(verify::Args),
    /// Say in which state a path is, and why
    Why(why::Args),
    /// Show what the daemon did lately
    Activity(activity::Args),
    /// Choose which folders of the server this device does not keep
    Exclude(exclude::Args),
    /// Show the copies that conflicts left, and resolve them
    Conflicts(conflicts::Args),
    /// Say how fast this device may send and receive
    Limit(limit::Args),
    /// Check that everything is as it should be
    Doctor,
    /// List remote files
    Ls(ls::Args),
    /// Print a remote file
    Cat(cat::Args),
    /// Fetch remote files
    Get(get::Args),
    /// Send files
    Put(put::Args),
    /// Make a remote folder
    Mkdir(mkdir::Args),
    /// Move or rename remote files
    Mv(mv::Args),
    /// Copy remote files; no content travels
    Cp(cp::Args),
    /// Delete remote files
    Rm(rm::Args),
    /// List the states that a remote file went through
    Revs(revs::Args),
    /// Bring back what was deleted, or an earlier state of a file
    Restore(restore::Args),
    /// Print the completions of a shell
    Completions(completions::Args),
    /// Print the manual page
    #[command(hide = true)]
    Man(man::Args),
    /// The process behind `start`
    #[command(hide = true)]
    Daemon(daemon::Args),
    /// The process in which the server reads a document
    #[command(hide = true)]
    ExtractText(extract_text::Args),
}

impl Command {
    /// Whether it lasts, and has the chunks of many files in memory meanwhile.
    pub(crate) const fn moves_chunks(&self) -> bool {
        matches!(
            self,
            Self::Up(_) | Self::Serve(_) | Self::Sync(_) | Self::Daemon(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn what_lasts_keeps_little_memory() {
        let command = |words: &[&str]| Cli::parse_from([&["cairn"], words].concat()).command;
        for words in [&["sync", "x"][..], &["daemon", "x"], &["serve", "--data", "x"]] {
            assert!(command(words).moves_chunks(), "{words:?}");
        }
        assert!(!command(&["status"]).moves_chunks());
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_the_manual() {
        let manual = include_str!("../../../docs/cli.md");
        let command = Cli::command();
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let heading = format!("`cairn {}", sub.get_name());
            assert!(
                manual.contains(&heading),
                "docs/cli.md does not mention {heading}`"
            );
            for option in sub.get_arguments().filter_map(|argument| argument.get_long()) {
                let option = format!("--{option}");
                assert!(
                    manual.contains(&option),
                    "docs/cli.md does not mention {option} of {heading}`"
                );
            }
        }
    }
}
