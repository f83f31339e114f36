//! The words of the command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::thread;

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: sim --seeds N [--from S] [--jobs J] [--no-shrink]\n\
                     \x20      sim --minutes M [--from S] [--jobs J] [--no-shrink]\n\
                     \x20      sim --seed S [--trace] [--shrink]     sim --script FILE [--trace] [--shrink]\n\
                     \x20      sim --show S";

/// What is to be run.
pub(crate) enum Work {
    /// Seeds from one up: so many of them, or for so many minutes.
    Range {
        from: u64,
        seeds: u64,
        minutes: Option<u64>,
    },
    /// One seed.
    Seed(u64),
    /// A script in a file.
    Script(PathBuf),
    /// Nothing: a seed's script is printed.
    Show(u64),
}

/// The words, read.
pub(crate) struct Arguments {
    pub(crate) work: Work,
    pub(crate) jobs: usize,
    pub(crate) traces: bool,
    pub(crate) shrinks: bool,
}

impl Arguments {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let (mut from, mut seeds, mut minutes) = (0, None, None);
        let mut one = None;
        let mut jobs = thread::available_parallelism().map_or(1, usize::from);
        let mut traces = false;
        let mut shrinks = None;
        while let Some(word) = words.next() {
            let mut value = |name: &str| words.next().with_context(|| format!("{name} needs a value"));
            match word.as_str() {
                "--seeds" => seeds = Some(number("--seeds", &value("--seeds")?)?),
                "--from" => from = number("--from", &value("--from")?)?,
                "--minutes" => minutes = Some(number("--minutes", &value("--minutes")?)?),
                "--jobs" => jobs = number("--jobs", &value("--jobs")?)?,
                "--seed" => one = Some(Work::Seed(number("--seed", &value("--seed")?)?)),
                "--show" => one = Some(Work::Show(number("--show", &value("--show")?)?)),
                "--script" => one = Some(Work::Script(value("--script")?.into())),
                "--trace" => traces = true,
                "--shrink" => shrinks = Some(true),
                "--no-shrink" => shrinks = Some(false),
                other => bail!("`{other}` is unknown\n{USAGE}"),
            }
        }
        let is_one = one.is_some();
        let work = match (one, seeds, minutes) {
            (Some(one), None, None) => one,
            (None, None, None) | (Some(_), ..) => bail!("{USAGE}"),
            (None, seeds, minutes) => Work::Range {
                from,
                seeds: seeds.unwrap_or(u64::MAX),
                minutes,
            },
        };
        Ok(Self {
            work,
            jobs: jobs.max(1),
            traces,
            shrinks: shrinks.unwrap_or(!is_one),
        })
    }
}

fn number<T: FromStr>(name: &str, word: &str) -> Result<T> {
    let Ok(number) = word.parse() else {
        bail!("{name} needs a number, not `{word}`");
    };
    Ok(number)
}
