//! Waiting for events with a deadline, and measuring how long something took.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What one look at the world saw.
#[derive(Debug)]
pub enum Observed<T> {
    /// It has happened.
    Done(T),
    /// Not yet; the text says what is there instead, for the message when time is up.
    NotYet(String),
}

impl Observed<()> {
    /// `Done` when the condition holds.
    pub fn when(condition: bool, otherwise: impl FnOnce() -> String) -> Self {
        if condition {
            Self::Done(())
        } else {
            Self::NotYet(otherwise())
        }
    }
}

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(5);

/// Looks again and again until `check` is done, and returns what it found.
///
/// # Errors
/// When `check` fails, or is not done before the deadline: then with what it saw last.
pub fn eventually<T>(
    deadline: Duration,
    what: &str,
    mut check: impl FnMut() -> Result<Observed<T>>,
) -> Result<T> {
    let stopwatch = Stopwatch::start();
    loop {
        match check()? {
            Observed::Done(value) => return Ok(value),
            Observed::NotYet(seen) if stopwatch.elapsed() > deadline => {
                bail!("not within {deadline:?}: {what}; at last: {seen}")
            }
            Observed::NotYet(_) => pause(INTERVAL),
        }
    }
}

/// Lets time pass where the moment itself is what a test is about, such as a kill at random; never to wait for an event.
#[expect(clippy::disallowed_methods, reason = "real processes run on the real clock")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Measures time.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts at zero.
    #[expect(clippy::disallowed_methods, reason = "real processes run on the real clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thing_seen_is_in_the_message() {
        let mut looks = 0;
        let error = eventually::<()>(Duration::from_millis(20), "the moon", || {
            looks += 1;
            Ok(Observed::NotYet(format!("look {looks}")))
        })
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("the moon") && error.contains(&format!("look {looks}")),
            "{error}"
        );
    }
}
