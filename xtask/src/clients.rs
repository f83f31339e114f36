//! Clients that others wrote for Dropbox, and an OpenID provider, against the real program: `clients/`.
//!
//! What they need from the registries of Python and JavaScript lies below cargo's target folder. It is fetched once, and
//! again when a suite's list of it changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::command::{command, output, program, succeeds, watched};
use crate::counts::{self, Counts};
use crate::debian::{self, Package};
use crate::say;
use crate::workspace::Workspace;

/// Where the suites lie; each in the folder of its name.
const FOLDER: &str = "clients";
/// What the tests in Python share.
const HARNESS: &str = "python";
/// Beside what was fetched: by which list, for which interpreter. Written last.
const STAMP: &str = "fetched-by";
/// Ends a suite that hangs, as a person at the terminal would: it then stops its server.
const TIME_LIMIT: &str = "timeout --signal=INT --kill-after=30 600";

/// What runs a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runner {
    Python,
    Node,
}

/// The tests of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Suite {
    name: &'static str,
    runner: Runner,
    /// What it needs beside what its runner needs.
    packages: &'static [Package],
}

const SUITES: &[Suite] = &[
    Suite {
        name: HARNESS,
        runner: Runner::Python,
        packages: &[Package {
            name: "rdiff",
            probe: "rdiff --version",
        }],
    },
    Suite {
        name: "javascript",
        runner: Runner::Node,
        packages: &[],
    },
    Suite {
        name: "oidc",
        runner: Runner::Node,
        packages: &[],
    },
    Suite {
        name: "maestral",
        runner: Runner::Python,
        packages: &[],
    },
    Suite {
        name: "rclone",
        runner: Runner::Python,
        packages: &[Package {
            name: "rclone",
            probe: "rclone version",
        }],
    },
    Suite {
        name: "schemathesis",
        runner: Runner::Python,
        packages: &[],
    },
];

impl Suite {
    /// The file that says, to the last number, what is fetched.
    const fn list(self) -> &'static str {
        match self.runner {
            Runner::Python => "requirements.txt",
            Runner::Node => "package.json",
        }
    }

    /// What names the interpreter; what was fetched for another one is of no use.
    const fn version(self) -> &'static str {
        match self.runner {
            Runner::Python => "python3 --version",
            Runner::Node => "node --version",
        }
    }

    const fn packages_of_runner(self) -> &'static [Package] {
        match self.runner {
            Runner::Python => &[
                Package {
                    name: "python3-venv",
                    probe: "python3 -m ensurepip --version",
                },
                Package {
                    name: "openssl",
                    probe: "openssl version",
                },
            ],
            Runner::Node => &[
                Package {
                    name: "nodejs",
                    probe: "node --version",
                },
                Package {
                    name: "npm",
                    probe: "npm --version",
                },
            ],
        }
    }
}

/// Builds the program and runs the suites that are named, or all.
pub(crate) fn run(names: &[&str]) -> Result<bool> {
    let suites = chosen(names)?;
    let workspace = Workspace::load()?;
    let line = "cargo build -p cairn-cli";
    ensure!(succeeds(command(&workspace.root, line))?, "`{line}` failed");
    let mut counts = Counts::default();
    let checked = check_suites(&workspace, &suites, &mut counts);
    say(&counts.to_string());
    checked.map(|()| true)
}

/// Runs all suites with the program that is built.
pub(crate) fn check(counts: &mut Counts) -> Result<()> {
    check_suites(&Workspace::load()?, SUITES, counts)
}

fn chosen(names: &[&str]) -> Result<Vec<Suite>> {
    if names.is_empty() {
        return Ok(SUITES.to_vec());
    }
    let find = |name: &&str| {
        let found = SUITES.iter().find(|suite| suite.name == *name);
        found.copied().with_context(|| {
            let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
            format!("clients: `{name}` is none of {}", known.join(", "))
        })
    };
    names.iter().map(find).collect()
}

/// Runs suites one after the other, also behind one that failed.
fn check_suites(workspace: &Workspace, suites: &[Suite], counts: &mut Counts) -> Result<()> {
    let mut failed = Vec::new();
    for suite in suites {
        let fetched = fetch(workspace, *suite)?;
        say(&format!("clients: {}", suite.name));
        let ran = test(workspace, *suite, &fetched)?;
        *counts += ran;
        if ran.failed > 0 {
            failed.push(suite.name);
        }
    }
    ensure!(failed.is_empty(), "tests of {} failed", failed.join(", "));
    Ok(())
}

/// Fetches what a suite needs, unless that was done, and returns where it lies.
fn fetch(workspace: &Workspace, suite: Suite) -> Result<PathBuf> {
    let purpose = format!("testing with other clients ({})", suite.name);
    debian::provide(&workspace.root, suite.packages_of_runner(), &purpose)?;
    debian::provide(&workspace.root, suite.packages, &purpose)?;
    let list = workspace.root.join(FOLDER).join(suite.name).join(suite.list());
    let wanted = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let wanted = wanted + &output(&workspace.root, suite.version())?;
    let fetched = workspace.target.join(FOLDER).join(suite.name);
    let stamp = fetched.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|known| known == wanted) {
        return Ok(fetched);
    }
    say(&format!("clients: fetching what {} needs", suite.name));
    if fetched.exists() {
        fs::remove_dir_all(&fetched).with_context(|| format!("cannot remove {}", fetched.display()))?;
    }
    fs::create_dir_all(&fetched).with_context(|| format!("cannot make {}", fetched.display()))?;
    for step in steps(suite, &list, &fetched)? {
        let shown = format!("{step:?}");
        ensure!(succeeds(step)?, "{shown} failed");
    }
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(fetched)
}

/// The commands that fetch.
fn steps(suite: Suite, list: &Path, fetched: &Path) -> Result<Vec<Command>> {
    match suite.runner {
        Runner::Python => {
            let mut make = command(fetched, "python3 -m venv");
            make.arg(fetched);
            let mut install = program(fetched, python(fetched));
            install.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
            ]);
            install.arg(list);
            Ok(vec![make, install])
        }
        Runner::Node => {
            fs::copy(list, fetched.join(suite.list())).context("cannot copy the list of packages")?;
            let line = "npm install --no-package-lock --no-audit --no-fund --loglevel=error";
            Ok(vec![command(fetched, line)])
        }
    }
}

/// The interpreter that sees what was fetched.
fn python(fetched: &Path) -> PathBuf {
    fetched.join("bin").join("python")
}

/// Runs a suite and counts its tests.
fn test(workspace: &Workspace, suite: Suite, fetched: &Path) -> Result<Counts> {
    let folder = workspace.root.join(FOLDER);
    let mut run = command(&folder.join(suite.name), TIME_LIMIT);
    let read: fn(&str) -> Option<Counts> = match suite.runner {
        Runner::Python => {
            run.arg(python(fetched))
                .args(["-m", "unittest", "discover", "--verbose"]);
            run.env("PYTHONPATH", folder.join(HARNESS));
            run.env("PYTHONDONTWRITEBYTECODE", "1");
            counts::of_unittest
        }
        Runner::Node => {
            run.args(["node", "--test", "--test-reporter=tap"]);
            run.env("NODE_PATH", fetched.join("node_modules"));
            counts::of_tap
        }
    };
    run.env("CAIRN_BIN", workspace.target.join("debug").join("cairn"));
    let transcript = watched(run)?;
    let Some(mut counts) = read(&transcript.text) else {
        bail!("{} ended without a count of tests, see above", suite.name);
    };
    // What breaks outside of a test, as the start of the server, is none and fails all the same.
    if !transcript.success || counts.run() == 0 {
        counts.failed = counts.failed.max(1);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap(), SUITES);
        let names = |names: &[&str]| -> Vec<&str> {
            let suites = chosen(names).unwrap();
            suites.iter().map(|suite| suite.name).collect()
        };
        assert_eq!(names(&["maestral", "python"]), ["maestral", "python"]);
        let error = chosen(&["python", "ruby"]).unwrap_err().to_string();
        assert!(
            error.contains("`ruby`") && error.contains("javascript"),
            "{error}"
        );
    }
}
