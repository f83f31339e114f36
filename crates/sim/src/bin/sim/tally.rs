//! What many runs came to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use cairn_sim::run::Outcome;

/// Sums over runs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    failed: u64,
    counts: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.failed += u64::from(outcome.failure.is_some());
        for (what, count) in &outcome.counts {
            *self.counts.entry(what.clone()).or_default() += count;
        }
    }

    /// One line of progress.
    pub(crate) fn line(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64().max(0.001);
        format!(
            "{} seeds, {} failed, {seconds:.0} s, {:.1} seeds/s",
            self.seeds,
            self.failed,
            self.seeds as f64 / seconds
        )
    }

    /// What happened in all runs together.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from("what happened, in all runs together:");
        for (what, count) in &self.counts {
            // A String takes everything.
            write!(table, "\n  {count:>9}  {what}").ok();
        }
        table
    }
}
