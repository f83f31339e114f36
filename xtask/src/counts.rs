//! How many tests ran, read from what the test runners print.

use std::fmt;
use std::ops::AddAssign;

/// Tests by their outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    /// Tests that ran, however they ended.
    pub(crate) fn run(self) -> u64 {
        self.passed + self.failed
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Reads the closing line of cargo-nextest, `Summary [ 1.2s] 9 tests run: 7 passed (1 slow), 2 failed, 1 skipped`.
///
/// A test that timed out or could not be started counts as failed. `None` when there is no such line: the build broke.
pub(crate) fn of_nextest(text: &str) -> Option<Counts> {
    let line = text
        .lines()
        .rev()
        .find(|line| line.trim_start().starts_with("Summary ["))?;
    let (_, outcomes) = line.split_once(" run: ")?;
    Some(tally(&without_remarks(outcomes), ','))
}

/// Sums the closing lines of `cargo test`, one per test binary: `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
///
/// `None` when there is no such line.
pub(crate) fn of_cargo_test(text: &str) -> Option<Counts> {
    let closing = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("test result: "));
    closing
        .filter_map(|line| line.split_once(". "))
        .map(|(_, outcomes)| tally(outcomes, ';'))
        .reduce(|mut sum, counts| {
            sum += counts;
            sum
        })
}

/// Reads the closing lines of Python's unittest: `Ran 9 tests in 1.2s`, then `OK (skipped=1)` or
/// `FAILED (failures=1, errors=2)`.
///
/// A part of a test that fails alone is counted as a test that failed. `None` when there are no such lines.
pub(crate) fn of_unittest(text: &str) -> Option<Counts> {
    let mut closing = text.lines().rev().skip_while(|line| !line.starts_with("Ran "));
    let ran: u64 = closing.next()?.split_whitespace().nth(1)?.parse().ok()?;
    let is_verdict = |line: &&str| line.starts_with("OK") || line.starts_with("FAILED");
    let verdict = text.lines().rev().find(is_verdict)?;
    let mut counts = Counts::default();
    let outcomes = verdict.split_once('(').map_or("", |(_, outcomes)| outcomes);
    for outcome in outcomes.trim_end_matches(')').split(", ") {
        let Some((name, number)) = outcome.split_once('=') else {
            continue;
        };
        let number: u64 = number.parse().ok()?;
        match name {
            "failures" | "errors" | "unexpected successes" => counts.failed += number,
            "skipped" => counts.skipped += number,
            _ => {}
        }
    }
    counts.passed = ran.saturating_sub(counts.failed + counts.skipped);
    Some(counts)
}

/// Reads the closing lines of Node's test runner, `# pass 3`, `# fail 1` and the like, as its reporter `tap` writes them.
///
/// `None` when there are no such lines.
pub(crate) fn of_tap(text: &str) -> Option<Counts> {
    let number = |outcome: &str| -> Option<u64> {
        let prefix = format!("# {outcome} ");
        let line = text.lines().rev().find_map(|line| line.strip_prefix(&prefix))?;
        line.trim().parse().ok()
    };
    Some(Counts {
        passed: number("pass")?,
        failed: number("fail")? + number("cancelled")?,
        skipped: number("skipped")? + number("todo")?,
    })
}

/// Sums entries like `3 passed`; what is no such entry (`finished in 0.1s`) is not an outcome.
fn tally(outcomes: &str, separator: char) -> Counts {
    let mut counts = Counts::default();
    for entry in outcomes.split(separator) {
        let Some((number, outcome)) = entry.trim().split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match outcome {
            "passed" => counts.passed += number,
            "failed" | "exec failed" | "timed out" => counts.failed += number,
            "skipped" | "ignored" | "filtered out" => counts.skipped += number,
            _ => {}
        }
    }
    counts
}

/// Takes out remarks in parentheses, such as `(2 slow, 1 leaky)`: those tests are counted already.
fn without_remarks(text: &str) -> String {
    let mut depth = 0_u32;
    let outside = |character: &char| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    };
    text.chars()
        .filter(outside)
        .collect::<String>()
        .replace(" ,", ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nextest(line: &str) -> Option<(u64, u64, u64)> {
        of_nextest(line).map(|counts| (counts.passed, counts.failed, counts.skipped))
    }

    fn cargo_test(text: &str) -> Option<(u64, u64, u64)> {
        of_cargo_test(text).map(|counts| (counts.passed, counts.failed, counts.skipped))
    }

    #[test]
    fn nextest_counts_every_bad_end_as_failed() {
        assert_eq!(
            nextest("     Summary [   0.4s] 1 test run: 1 passed, 0 skipped"),
            Some((1, 0, 0))
        );
        assert_eq!(
            nextest(
                "Summary [  90.0s] 12 tests run: 7 passed (1 slow, 1 leaky), 2 failed, 1 exec failed, 2 timed out, 3 skipped"
            ),
            Some((7, 5, 3))
        );
        assert_eq!(
            nextest("Summary [ 1.0s] 5/40 tests run: 4 passed, 1 failed, 2 skipped"),
            Some((4, 1, 2))
        );
    }

    #[test]
    fn nextest_without_summary_is_no_result() {
        assert_eq!(nextest("error: could not compile `cairn-core`"), None);
    }

    #[test]
    fn nextest_summary_is_the_last_one() {
        let text =
            "Summary [ 1s] 1 test run: 1 passed, 0 skipped\nSummary [ 1s] 2 tests run: 2 passed, 0 skipped\n";
        assert_eq!(nextest(text), Some((2, 0, 0)));
    }

    #[test]
    fn cargo_test_is_summed_over_binaries() {
        let text = "\
running 3 tests
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s
running 5 tests
test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 1 filtered out; finished in 2.00s
";
        assert_eq!(cargo_test(text), Some((5, 1, 2)));
    }

    #[test]
    fn cargo_test_that_did_not_run_is_no_result() {
        assert_eq!(cargo_test("error[E0308]: mismatched types"), None);
    }

    #[test]
    fn unittest_says_how_many_ran_and_which_did_not_pass() {
        let counts =
            |text: &str| of_unittest(text).map(|counts| (counts.passed, counts.failed, counts.skipped));
        assert_eq!(counts("...\nRan 9 tests in 1.2s\n\nOK\n"), Some((9, 0, 0)));
        let bad = "Ran 9 tests in 1.2s\n\nFAILED (failures=1, errors=2, skipped=1)\n";
        assert_eq!(counts(bad), Some((5, 3, 1)));
        assert_eq!(
            counts("Ran 1 test in 0.1s\n\nFAILED (failures=4)\n"),
            Some((0, 4, 0))
        );
        assert_eq!(counts("Traceback (most recent call last):\n"), None);
    }

    #[test]
    fn node_counts_each_outcome_on_its_line() {
        let counts = |text: &str| of_tap(text).map(|counts| (counts.passed, counts.failed, counts.skipped));
        let text = "# tests 9\n# suites 0\n# pass 5\n# fail 1\n# cancelled 1\n# skipped 2\n# todo 0\n# duration_ms 9\n";
        assert_eq!(counts(text), Some((5, 2, 2)));
        assert_eq!(counts("SyntaxError: Unexpected token\n"), None);
    }

    #[test]
    fn shown_as_ci_reads_it() {
        let mut counts = Counts {
            passed: 3,
            failed: 0,
            skipped: 1,
        };
        counts += Counts {
            passed: 1,
            failed: 2,
            skipped: 0,
        };
        assert_eq!(counts.to_string(), "4 passed, 2 failed, 1 skipped");
        assert_eq!(counts.run(), 6);
    }
}
