//! Runs simulations: many seeds, one seed, or one script.

mod arguments;
mod tally;

use std::fs;
use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cairn_sim::generate;
use cairn_sim::run::{Failure, Outcome, Tracing, run};
use cairn_sim::script::Script;
use cairn_sim::shrink::shrink;

use arguments::{Arguments, Work};
use tally::Tally;

/// Seeds between two lines of progress.
const LINE_EVERY: u64 = 1_000;
/// Time between two lines of progress.
const LINE_AFTER: Duration = Duration::from_secs(10);
/// Every so many seeds one is run twice: both runs must be the same.
const TWICE_EVERY: u64 = 50;
/// Failures that are made small and printed.
const SHRUNK: usize = 5;
/// The longest time for making one failure small.
const SHRINK_TIME: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    match go() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("sim: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn go() -> Result<bool> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    // A panic in a run is a finding, told with its seed.
    panic::set_hook(Box::new(|_| {}));
    match &arguments.work {
        Work::Seed(seed) => Ok(one(&generate::script(*seed), &arguments)),
        Work::Script(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(one(&text.parse()?, &arguments))
        }
        Work::Show(seed) => {
            say(&generate::script(*seed).to_string());
            Ok(true)
        }
        Work::Range { .. } => Ok(many(&arguments)),
    }
}

/// Runs one script and prints what there is to say of it.
fn one(script: &Script, arguments: &Arguments) -> bool {
    let tracing = if arguments.traces {
        Tracing::All
    } else {
        Tracing::End
    };
    let outcome = run(script, tracing);
    if arguments.traces {
        outcome.lines.iter().for_each(|line| say(line));
    }
    let mut tally = Tally::default();
    tally.add(&outcome);
    say(&tally.table());
    say(&format!("trace {}", outcome.trace));
    let Some(failure) = &outcome.failure else {
        say("PASS");
        return true;
    };
    if !arguments.traces {
        outcome.lines.iter().for_each(|line| say(line));
    }
    say(&format!("FAIL {failure}"));
    if arguments.shrinks {
        tell_shrunk(script, failure);
    }
    false
}

/// What the threads share.
struct Shared {
    next: AtomicU64,
    tally: Mutex<(Tally, Vec<(u64, Failure)>)>,
}

fn many(arguments: &Arguments) -> bool {
    let Work::Range { from, seeds, minutes } = arguments.work else {
        return true;
    };
    let watch = Stopwatch::start();
    let shared = Shared {
        next: AtomicU64::new(from),
        tally: Mutex::default(),
    };
    let is_over = |seed: u64| match minutes {
        Some(minutes) => watch.elapsed() >= Duration::from_secs(60 * minutes),
        None => seed >= from.saturating_add(seeds),
    };
    let last_line = Mutex::new(Duration::ZERO);
    thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                loop {
                    let seed = shared.next.fetch_add(1, Ordering::Relaxed);
                    if is_over(seed) {
                        return;
                    }
                    let outcome = judged(seed);
                    let mut tally = shared.tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.0.add(&outcome);
                    if let Some(failure) = outcome.failure {
                        say(&format!("seed {seed} FAILS: {failure}"));
                        tally.1.push((seed, failure));
                    }
                    let mut last = last_line.lock().unwrap_or_else(PoisonError::into_inner);
                    if tally.0.seeds.is_multiple_of(LINE_EVERY) || watch.elapsed() - *last >= LINE_AFTER {
                        *last = watch.elapsed();
                        say(&tally.0.line(watch.elapsed()));
                    }
                }
            });
        }
    });
    let (tally, mut failures) = shared.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    say(&tally.table());
    say(&tally.line(watch.elapsed()));
    failures.sort_by_key(|(seed, _)| *seed);
    for (seed, failure) in failures.iter().take(SHRUNK) {
        say(&format!("\nseed {seed}: {failure}"));
        if arguments.shrinks {
            tell_shrunk(&generate::script(*seed), failure);
        }
    }
    say(&format!(
        "simulation: {} seeds, {} failed",
        tally.seeds,
        failures.len()
    ));
    failures.is_empty()
}

/// Runs a seed, now and then twice.
fn judged(seed: u64) -> Outcome {
    let script = generate::script(seed);
    let mut outcome = run(&script, Tracing::End);
    if seed.is_multiple_of(TWICE_EVERY) && outcome.failure.is_none() {
        let again = run(&script, Tracing::End);
        if again.trace != outcome.trace {
            outcome.failure = Some(Failure::new(
                "one seed is one run",
                format!("its traces are {} and {}", outcome.trace, again.trace),
            ));
        }
    }
    outcome
}

fn tell_shrunk(script: &Script, failure: &Failure) {
    let watch = Stopwatch::start();
    let (small, failure) = shrink(
        script,
        failure,
        |candidate| run(candidate, Tracing::End),
        || watch.elapsed() < SHRINK_TIME,
    );
    say(&format!(
        "smallest script, {} of {} steps; {failure}\n{small}\
         replay: cargo xtask sim --seed {} --trace, or the lines above in a file: cargo xtask sim --script FILE --trace",
        small.steps.len(),
        script.steps.len(),
        script.seed
    ));
}

/// Real time, which is shown and ends the run, and decides nothing within it.
struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a run takes is shown to a person and decides nothing within it"
    )]
    fn start() -> Self {
        Self(Instant::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[expect(clippy::print_stdout, reason = "what a run found is this program's result")]
fn say(line: &str) {
    println!("{line}");
}
