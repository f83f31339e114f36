//! Installs what a check needs, where that is Debian and this is root.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::command::{command, exists, succeeds};

/// A package, and what tells that its program is there already, wherever it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    /// A command that succeeds where nothing has to be installed.
    pub(crate) probe: &'static str,
}

/// Installs those that are missing, else says what they are for and how to get them.
pub(crate) fn provide(root: &Path, packages: &[Package], purpose: &str) -> Result<()> {
    let missing = || packages.iter().filter(|package| !exists(root, package.probe));
    let names: Vec<&str> = missing().map(|package| package.name).collect();
    if names.is_empty() {
        return Ok(());
    }
    let names = names.join(" ");
    let install = format!("apt-get install --yes --quiet {names}");
    let runs = |line: &str| succeeds(command(root, line)).unwrap_or_default();
    // A new machine has no lists of packages yet.
    let is_installed = exists(root, "apt-get --version") && runs("apt-get update --quiet") && runs(&install);
    ensure!(
        is_installed && missing().next().is_none(),
        "{purpose} needs what is missing here: apt-get install {names}"
    );
    Ok(())
}
