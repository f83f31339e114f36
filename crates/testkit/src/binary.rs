//! Finds the built program.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The program `cairn`: the one in `CAIRN_BIN`, or the one beside the running test.
///
/// # Errors
/// When there is none; the message says how to build it.
pub fn cairn() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CAIRN_BIN") {
        return existing(Path::new(&path));
    }
    let test = std::env::current_exe().context("cannot tell where this test lies")?;
    // A test lies in target/debug/deps, a program in target/debug.
    let dir = test
        .ancestors()
        .skip(1)
        .find(|dir| dir.file_name().is_some_and(|name| name != "deps"))
        .context("this test lies in no folder")?;
    existing(&dir.join("cairn"))
}

fn existing(path: &Path) -> Result<PathBuf> {
    if !path.is_file() {
        bail!(
            "there is no program {}: `cargo build --workspace --bins` makes it (with --release for a release test)",
            path.display()
        );
    }
    Ok(path.to_owned())
}
