//! Deliberate bugs, each of which something must find.
//!
//! A mutant is a patch in `mutants/` whose first lines say what it breaks and which command must fail with it:
//!
//! ```text
//! Bug: what was displaced is not looked at again
//! Found by: cargo run --profile sim -p cairn-sim -- --seeds 400
//! ```
//!
//! All are applied one by one in a copy of what is committed, so the work tree is not touched. A mutant that nothing
//! finds, or a patch that no longer applies, fails the run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::command::{command, output, succeeds};
use crate::{say, workspace};

const FOLDER: &str = "mutants";
/// Lines of a failing command that are shown: its verdict stands at the end.
const SHOWN_LINES: usize = 6;

/// A patch with what its header says.
#[derive(Debug, PartialEq, Eq)]
struct Mutant {
    name: String,
    bug: String,
    found_by: String,
    patch: PathBuf,
}

/// Runs the mutants whose names contain one of `wanted`, or all.
pub(crate) fn run(wanted: &[&str]) -> Result<bool> {
    let root = workspace::root()?;
    let mutants: Vec<Mutant> = load(&root.join(FOLDER))?
        .into_iter()
        .filter(|mutant| wanted.is_empty() || wanted.iter().any(|word| mutant.name.contains(word)))
        .collect();
    ensure!(!mutants.is_empty(), "no patch in {FOLDER}/ has that name");
    let copy = Copy::make(&root)?;
    let mut report = String::new();
    let mut missed = 0;
    for mutant in &mutants {
        say(&format!("\n== {}: {}", mutant.name, mutant.bug));
        let verdict = copy.try_mutant(mutant)?;
        let is_found = matches!(verdict, Verdict::Found { .. });
        missed += usize::from(!is_found);
        let _ = writeln!(report, "{:28} {verdict} ({})", mutant.name, mutant.found_by);
    }
    say(&format!(
        "\n{report}{} of {} mutants were found",
        mutants.len() - missed,
        mutants.len()
    ));
    Ok(missed == 0)
}

/// What became of a mutant.
enum Verdict {
    /// Its command failed, as it must.
    Found { seconds: u64 },
    /// Its command passed.
    Missed,
    /// It does not compile, which proves nothing.
    Broken,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Found { seconds } => write!(f, "found in {seconds} s"),
            Self::Missed => write!(f, "NOT FOUND"),
            Self::Broken => write!(f, "DOES NOT COMPILE"),
        }
    }
}

/// A checkout of what is committed, with a target folder of its own that later runs use again.
struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn make(root: &Path) -> Result<Self> {
        let base = root.join("target").join(FOLDER);
        let tree = base.join("tree");
        fs::create_dir_all(&base).with_context(|| format!("cannot make {}", base.display()))?;
        let head = output(root, "git rev-parse HEAD")?.trim().to_owned();
        if tree.join(".git").exists() {
            git(&tree, &["checkout", "--quiet", "--force", "--detach", &head])?;
        } else {
            let path = tree.display().to_string();
            git(root, &["worktree", "prune"])?;
            git(
                root,
                &["worktree", "add", "--quiet", "--force", "--detach", &path, &head],
            )?;
        }
        Ok(Self {
            tree,
            target: base.join("build"),
        })
    }

    /// Applies a mutant, runs its command, and takes the mutant back.
    fn try_mutant(&self, mutant: &Mutant) -> Result<Verdict> {
        let patch = mutant.patch.display().to_string();
        git(&self.tree, &["apply", &patch])
            .with_context(|| format!("{} does not apply any more; make it anew", mutant.name))?;
        let verdict = self.verdict(mutant);
        git(&self.tree, &["checkout", "--quiet", "--force", "."])?;
        verdict
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the time that finding took is shown to a person and decides nothing"
    )]
    fn verdict(&self, mutant: &Mutant) -> Result<Verdict> {
        if !self.builds(mutant)? {
            return Ok(Verdict::Broken);
        }
        let start = Instant::now();
        let ran = command(&self.tree, &mutant.found_by)
            .env("CARGO_TARGET_DIR", &self.target)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{}`", mutant.found_by))?;
        let text = String::from_utf8_lossy(&ran.stdout);
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            say(line);
        }
        Ok(if ran.status.success() {
            Verdict::Missed
        } else {
            Verdict::Found {
                seconds: start.elapsed().as_secs(),
            }
        })
    }

    /// Builds what the mutant's command runs: a command that fails because nothing compiles has found nothing.
    fn builds(&self, mutant: &Mutant) -> Result<bool> {
        let mut build = command(&self.tree, &build_line(&mutant.found_by)?);
        build.env("CARGO_TARGET_DIR", &self.target);
        succeeds(build)
    }
}

/// The command that builds what another one runs.
fn build_line(line: &str) -> Result<String> {
    let before_arguments = line.split(" -- ").next().unwrap_or(line);
    if let Some(rest) = before_arguments.strip_prefix("cargo run ") {
        return Ok(format!("cargo build --quiet {rest}"));
    }
    if let Some(rest) = before_arguments.strip_prefix("cargo test ") {
        let mut words = Vec::new();
        let mut rest = rest.split_whitespace();
        while let Some(word) = rest.next() {
            if word == "-p" || word == "--test" || word == "--profile" {
                words.push(word);
                words.extend(rest.next());
            } else if word.starts_with("--") {
                words.push(word);
            }
        }
        return Ok(format!("cargo test --no-run --quiet {}", words.join(" ")));
    }
    bail!("`{line}` is neither `cargo run` nor `cargo test`")
}

fn git(dir: &Path, arguments: &[&str]) -> Result<()> {
    let mut git = command(dir, "git");
    git.args(arguments);
    ensure!(succeeds(git)?, "`git {}` failed", arguments.join(" "));
    Ok(())
}

/// Reads all patches, by name.
fn load(folder: &Path) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            mutants.push(parse(&path, &text)?);
        }
    }
    mutants.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(mutants)
}

fn parse(path: &Path, text: &str) -> Result<Mutant> {
    let header = |key: &str| {
        text.lines()
            .take_while(|line| !line.starts_with("diff ") && !line.starts_with("--- "))
            .find_map(|line| line.strip_prefix(key))
            .map(|value| value.trim().to_owned())
            .with_context(|| format!("{} has no line `{key}`", path.display()))
    };
    Ok(Mutant {
        name: path
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        bug: header("Bug:")?,
        found_by: header("Found by:")?,
        patch: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_is_broken_and_what_finds_it() {
        let path = Path::new("mutants/no-second-look.patch");
        let text = "Bug: no second look\nFound by: cargo test -p cairn-client applier\n\ndiff --git a/x b/x\nBug: not this\n";
        let mutant = parse(path, text).unwrap();
        assert_eq!(
            (
                mutant.name.as_str(),
                mutant.bug.as_str(),
                mutant.found_by.as_str()
            ),
            (
                "no-second-look",
                "no second look",
                "cargo test -p cairn-client applier"
            )
        );
        assert!(parse(path, "Bug: only this\n\ndiff --git a/x b/x\n").is_err());
    }

    #[test]
    fn what_a_command_runs_is_built_first() {
        let run = build_line("cargo run --profile sim -p cairn-sim -- --seeds 4").unwrap();
        assert_eq!(run, "cargo build --quiet --profile sim -p cairn-sim");
        let test = build_line("cargo test -p cairn-client --lib applier::tests").unwrap();
        assert_eq!(test, "cargo test --no-run --quiet -p cairn-client --lib");
        assert!(build_line("rm -r x").is_err());
    }
}
