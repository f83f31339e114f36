//! How the C library's allocator is told to keep less.
//!
//! A server or a daemon handles chunks on many threads and frees them on others, in sizes that never repeat. The allocator
//! of the GNU C library keeps an arena for each of up to eight threads a core, and each keeps what others freed. It can be told
//! otherwise through the environment of a process that is about to start, and in no other way without unsafe code.

use std::env;

/// The allocator's own variable.
const VARIABLE: &str = "MALLOC_ARENA_MAX";
/// Arenas of such a process: one would be shared by all threads, more than two keep memory and are no faster. A device that
/// sent 4,000 files of 100 KB took 82 MB with two and 121 to 133 MB with sixteen, and no more time.
const ARENAS: &str = "2";

/// Starts this program anew, in this process, with fewer arenas. Returns when that was done before, was set otherwise by
/// whoever started it, or cannot be done: then the server only needs more memory.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_less() {
    use std::os::unix::process::CommandExt;

    if env::var_os(VARIABLE).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // Comes back only when it fails.
    let error = again.args(arguments).env(VARIABLE, ARENAS).exec();
    tracing::debug!(%error, "cannot start anew with fewer arenas");
}

/// Other allocators are not told anything.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_less() {}
