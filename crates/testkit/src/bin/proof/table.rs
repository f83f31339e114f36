//! What a proof prints.

use std::fmt;
use std::time::Duration;

/// Named figures, and what had to be true.
pub(crate) struct Table {
    name: &'static str,
    rows: Vec<(String, String)>,
    failures: Vec<String>,
}

impl Table {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            rows: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Adds a figure.
    pub(crate) fn row(&mut self, name: &str, value: impl fmt::Display) {
        self.rows.push((name.to_owned(), value.to_string()));
    }

    /// Adds a figure that must satisfy something.
    pub(crate) fn must(&mut self, name: &str, value: impl fmt::Display, holds: bool) {
        let mark = if holds { "ok" } else { "NOT OK" };
        self.rows.push((name.to_owned(), format!("{value}  {mark}")));
        if !holds {
            self.failures.push(name.to_owned());
        }
    }

    pub(crate) const fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.rows {
            writeln!(f, "  {name:<width$}  {value}")?;
        }
        if self.passed() {
            write!(f, "PASS {}", self.name)
        } else {
            write!(f, "FAIL {}: {}", self.name, self.failures.join(", "))
        }
    }
}

pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A time and the rate that it means for so many bytes.
pub(crate) fn rate(time: Duration, bytes: u64) -> String {
    let rate = bytes as f64 / f64::from(1 << 20) / time.as_secs_f64();
    format!("{}, {rate:.0} MiB/s", seconds(time))
}

/// Prints a line: the only place of this program that does.
#[expect(clippy::print_stdout, reason = "a proof's output is its result")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
