//! Fuzzes what reads bytes of others: `fuzz/` holds the targets, libFuzzer drives them, the nightly compiler builds them.
//!
//! What it finds is kept in `target/fuzz/<target>/`: the inputs that reached new code, and each one that crashed, which
//! belongs into `fuzz/seeds/<target>/` together with its fix.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::command::{command, exists, output, succeeds};
use crate::{say, workspace};

const TARGETS: [&str; 9] = [
    "frames",
    "manifest_page",
    "delta",
    "journal_page",
    "ignore_file",
    "name_fold",
    "api_path",
    "api_cursor",
    "api_argument",
];
/// What libFuzzer needs to see which code an input reaches, and what catches a bad access.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Clink-dead-code \
     -Zsanitizer=address --cfg fuzzing";
/// Longest input: a page and some room.
const INPUT_BYTES: &str = "-max_len=65536";

/// Runs each target for so many seconds, or those that are named.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    let (seconds, wanted) = parse(arguments)?;
    let root = workspace::root()?;
    if !exists(&root, "cargo +nightly --version") {
        bail!("fuzzing needs the nightly compiler: rustup toolchain install nightly");
    }
    let host = host(&root)?;
    let built = root.join("target/fuzz/build");
    let mut build = command(
        &root,
        &format!("cargo +nightly build --release --target {host} --manifest-path fuzz/Cargo.toml"),
    );
    build.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &built);
    ensure!(succeeds(build)?, "the fuzz targets do not build");
    let mut found = Vec::new();
    for target in wanted {
        let program = built.join(&host).join("release").join(target);
        if !fuzz(&root, target, &program, seconds)? {
            found.push(target);
        }
    }
    say(&match found.as_slice() {
        [] => format!("fuzz: nothing was found in {seconds} s of each target"),
        found => format!("fuzz: {} crashed, see above", found.join(", ")),
    });
    Ok(found.is_empty())
}

/// One target: the inputs that were kept before, then new ones until the time is over.
fn fuzz(root: &Path, target: &str, program: &Path, seconds: u64) -> Result<bool> {
    let corpus = root.join("target/fuzz").join(target);
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    say(&format!("\n== {target}"));
    let mut run = command(root, &program.display().to_string());
    run.arg(&corpus);
    let seeds = root.join("fuzz/seeds").join(target);
    if seeds.is_dir() {
        run.arg(seeds);
    }
    run.arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", corpus.display()))
        .args([INPUT_BYTES, "-print_final_stats=1", "-verbosity=0", "-timeout=10"]);
    succeeds(run)
}

/// The seconds and the targets of a command line.
fn parse<'a>(arguments: &[&'a str]) -> Result<(u64, Vec<&'a str>)> {
    let (seconds, names) = match arguments {
        ["--seconds", seconds, names @ ..] => (seconds.parse().context("--seconds is a number")?, names),
        names => (60, names),
    };
    if let Some(unknown) = names.iter().find(|name| !TARGETS.contains(name)) {
        bail!("{unknown} is none of {}", TARGETS.join(", "));
    }
    let wanted = if names.is_empty() {
        TARGETS.to_vec()
    } else {
        names.to_vec()
    };
    Ok((seconds, wanted))
}

fn host(root: &Path) -> Result<String> {
    let version = output(root, "rustc +nightly --version --verbose")?;
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc does not say its host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_targets_are_read() {
        assert_eq!(parse(&["--seconds", "9", "frames"]).unwrap(), (9, vec!["frames"]));
        assert_eq!(parse(&[]).unwrap(), (60, TARGETS.to_vec()));
        assert!(parse(&["nonsense"]).is_err());
    }
}
