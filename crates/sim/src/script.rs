//! What happens in a run: a list of steps, made up front, that reads and writes as text.
//!
//! One line is one step: its number, when it comes, and what it is. The number is also the step's salt: all its
//! randomness follows from it and the seed, so that a step stays what it is when others are taken out.
//!
//! ```text
//! seed 7
//! turns
//! device fold step=2000000000
//! device
//! 0 +0 d0 new #0 "a.txt" 512
//! 1 settled d1 overwrite "a.txt" 30
//! 2 calls=1,40 ! kill 1 500
//! ```

mod action;
mod fault;
mod options;
mod words;

use std::fmt;
use std::str::FromStr;

pub use action::Action;
pub use fault::Fault;
pub use options::{DeviceOptions, Options};
pub use words::{Name, Ref};

use words::{Word, Words};

/// When a step comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So many virtual milliseconds after the one before.
    After(u64),
    /// Between two calls of a device's disk, so many calls after the step before; or after five seconds without as many.
    Calls {
        /// The device.
        device: usize,
        /// How many calls.
        count: u64,
    },
    /// When nothing moves any more and everything was checked.
    Settled,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A user does something in the folder of a device.
    User {
        /// The device.
        device: usize,
        /// What is done.
        action: Action,
    },
    /// Something breaks, or is mended.
    Fault(Fault),
}

impl What {
    /// The word under which it is counted.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::User { action, .. } => action.word(),
            Self::Fault(fault) => fault.word(),
        }
    }
}

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number in the script that was generated; kept when others go.
    pub number: u64,
    /// When it comes.
    pub when: When,
    /// What it is.
    pub what: What,
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// What everything that is random follows from.
    pub seed: u64,
    /// The world in which it happens.
    pub options: Options,
    /// What happens.
    pub steps: Vec<Step>,
}

/// A line that is no step.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line} cannot be read: {what}")]
pub struct ScriptError {
    /// Its number from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl Script {
    /// The same world with other steps.
    #[must_use]
    pub fn with_steps(&self, steps: Vec<Step>) -> Self {
        Self {
            seed: self.seed,
            options: self.options.clone(),
            steps,
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(ms) => write!(f, "+{ms}"),
            Self::Calls { device, count } => write!(f, "calls={device},{count}"),
            Self::Settled => f.write_str("settled"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { device, action } => write!(f, "d{device} {action}"),
            Self::Fault(fault) => write!(f, "! {fault}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.number, self.when, self.what)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        self.options.fmt(f)?;
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}

fn read_when(word: &str) -> Option<When> {
    if word == "settled" {
        return Some(When::Settled);
    }
    if let Some(ms) = word.strip_prefix('+') {
        return Some(When::After(ms.parse().ok()?));
    }
    let (device, count) = word.strip_prefix("calls=")?.split_once(',')?;
    Some(When::Calls {
        device: device.parse().ok()?,
        count: count.parse().ok()?,
    })
}

fn read_step(words: &mut Words<'_>) -> Result<Step, String> {
    let number = u64::next(words)?;
    let when = words.word()?;
    let when = read_when(when).ok_or_else(|| format!("`{when}` is no time"))?;
    let who = words.word()?;
    let what = if who == "!" {
        What::Fault(Fault::read(words)?)
    } else {
        let device = who.strip_prefix('d').and_then(|number| number.parse().ok());
        What::User {
            device: device.ok_or_else(|| format!("`{who}` is neither a device nor `!`"))?,
            action: Action::read(words)?,
        }
    };
    words.end()?;
    Ok(Step { number, when, what })
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self {
            seed: 0,
            options: Options::default(),
            steps: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let at = |what: String| ScriptError {
                line: index + 1,
                what,
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with("//") {
                continue;
            }
            let mut words = Words::of(line).map_err(at)?;
            if line.starts_with(|first: char| first.is_ascii_digit()) {
                script.steps.push(read_step(&mut words).map_err(at)?);
            } else if words.peek() == Some("seed") {
                words.word().map_err(at)?;
                script.seed = u64::next(&mut words).map_err(at)?;
            } else {
                script.options.read(&mut words).map_err(at)?;
            }
        }
        Ok(script)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_as_it_was_written() {
        for seed in 0..300 {
            let script = crate::generate::script(seed);
            let text = script.to_string();
            assert_eq!(text.parse::<Script>(), Ok(script), "{text}");
        }
    }

    #[test]
    fn what_is_no_step_is_named_with_its_line() {
        let refused = "seed 1\n\n0 +0 d0 dance".parse::<Script>().unwrap_err();
        assert_eq!(refused.line, 3);
        assert!("0 later d0 sync".parse::<Script>().is_err());
        assert!("0 +0 d0 new #0 \"a".parse::<Script>().is_err());
    }
}
