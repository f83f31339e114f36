//! Proofs of full size: `cargo xtask proof NAME`. Each prints what it measured and `PASS` or `FAIL`.

mod big;
mod crowd;
mod kills;
mod latency;
mod million;
mod small_files;
mod table;
mod trees;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use self::table::{Table, say};

const USAGE: &str = "\
usage: proof NAME [--count N] [--per-folder N] [--minutes M] [--seed S] [--dir DIR]

  crates        the sources of all crates that this machine has, on two devices
  awkward       1,000 files with awkward names
  big-2g        one file of 2 GiB
  big-5g        one file of 5 GiB: memory below 200 MB, and a cut upload and download that go on
  kills         two devices, random edits, random SIGKILLs (--count of them, 50, or for --minutes; --seed)
  small-files   10,000 files of 100 KB: requests and commits per file
  million       what 1,000,000 small files cost a device (--count of them, --per-folder in each folder, 100)
  connections   what a device costs the server that only waits (--count of them, 5,000)
  commits       how many commits a second many devices get done (--count connections, 50)
  latency       a file of 100 KB saved until it is seen on the other device (--count times, 100)

  --dir DIR     where the data goes; it is removed afterwards [default: the system's folder for temporary files]";

/// What the command line says.
struct Options {
    count: Option<u64>,
    per_folder: u64,
    minutes: Option<u64>,
    seed: u64,
    dir: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((name, rest)) => options(rest).and_then(|options| proof(name, &options)),
        None => Err(anyhow::anyhow!("{USAGE}")),
    };
    match outcome {
        Ok(table) => {
            say(&table.to_string());
            if table.passed() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            say(&format!("FAIL {}: {error:#}", arguments.join(" ")));
            ExitCode::FAILURE
        }
    }
}

fn options(words: &[String]) -> Result<Options> {
    let mut options = Options {
        count: None,
        per_folder: 100,
        minutes: None,
        seed: 20_261_122,
        dir: std::env::temp_dir(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words
            .next()
            .with_context(|| format!("{word} needs a value\n{USAGE}"))?;
        match word.as_str() {
            "--count" => options.count = Some(value.parse().context("--count is a number")?),
            "--per-folder" => {
                options.per_folder = value.parse().context("--per-folder is a number")?;
                ensure!(options.per_folder > 0, "--per-folder is at least 1");
            }
            "--minutes" => options.minutes = Some(value.parse().context("--minutes is a number")?),
            "--seed" => options.seed = value.parse().context("--seed is a number")?,
            "--dir" => options.dir = value.into(),
            _ => bail!("{word} is no option\n{USAGE}"),
        }
    }
    Ok(options)
}

fn proof(name: &str, options: &Options) -> Result<Table> {
    match name {
        "crates" => trees::crates(&options.dir),
        "awkward" => trees::awkward(&options.dir),
        "big-2g" => trees::big(&options.dir),
        "big-5g" => big::run(&options.dir),
        "kills" => kills::run(
            &options.dir,
            options.seed,
            kills::extent(options.count, options.minutes)?,
        ),
        "small-files" => small_files::run(&options.dir, options.count.unwrap_or(10_000)),
        "million" => million::run(
            &options.dir,
            options.count.unwrap_or(1_000_000),
            options.per_folder,
        ),
        "connections" => crowd::connections(&options.dir, number(options.count, 5_000)?),
        "commits" => crowd::commits(&options.dir, number(options.count, 50)?),
        "latency" => latency::run(&options.dir, options.count.unwrap_or(100)),
        _ => bail!("{name} is no proof\n{USAGE}"),
    }
}

/// A number of things that are held in memory.
fn number(count: Option<u64>, otherwise: usize) -> Result<usize> {
    count.map_or(Ok(otherwise), |count| {
        usize::try_from(count).context("--count is too large")
    })
}
