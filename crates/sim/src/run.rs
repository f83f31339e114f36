//! Runs a script in a world of its own and judges it.

mod faults;
mod panics;
mod stage;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::check;
use crate::script::{Script, What, When};
use crate::tree::Tree;
use crate::world::simulate;
pub(crate) use stage::Stage;

/// How much of what happened is kept for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracing {
    /// The last lines.
    End,
    /// Every line.
    All,
}

/// Something that must hold did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What must hold, in words that are the same for every case of it.
    pub invariant: String,
    /// How it did not.
    pub what: String,
    /// The number of the step that was done last.
    pub step: Option<u64>,
}

impl Failure {
    /// A failure that is not yet bound to a step.
    pub fn new(invariant: &str, what: impl Into<String>) -> Self {
        Self {
            invariant: invariant.to_owned(),
            what: what.into(),
            step: None,
        }
    }

    fn after(mut self, step: Option<u64>) -> Self {
        self.step = step;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" does not hold", self.invariant)?;
        if let Some(step) = self.step {
            write!(f, " after step {step}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The hash of all that happened.
    pub trace: String,
    /// How often each fault was made and each action done.
    pub counts: BTreeMap<String, u64>,
    /// What did not hold.
    pub failure: Option<Failure>,
    /// The lines that were kept.
    pub lines: Vec<String>,
    /// What the server holds at the end.
    pub tree: Tree,
    /// Entries of its journal.
    pub journal_entries: u64,
}

/// Runs a script on this thread. A panic anywhere in it is a failure of it.
pub fn run(script: &Script, tracing: Tracing) -> Outcome {
    panics::watch();
    let ran = catch_unwind(AssertUnwindSafe(|| simulate(Box::pin(play(script, tracing)))));
    let panic = panics::take();
    let mut outcome = ran.unwrap_or_default();
    // A panic in a task ends that task alone, so that its trace looks like something else.
    if let Some(message) = panic {
        outcome.failure = Some(Failure::new("no code panics", message));
    }
    outcome
}

async fn play(script: &Script, tracing: Tracing) -> Outcome {
    let mut stage = match Stage::set(script, tracing).await {
        Ok(stage) => stage,
        Err(failure) => {
            return Outcome {
                failure: Some(failure),
                ..Outcome::default()
            };
        }
    };
    let failure = Box::pin(acts(&mut stage, script)).await.err();
    let devices = stage.world.devices().to_vec();
    let mut outcome = stage.outcome().await;
    outcome.failure = failure;
    // A disk holds its hook, which holds the device's life, which holds the disk: no run would ever be forgotten.
    devices.iter().for_each(|device| device.disk().clear_hook());
    outcome
}

async fn acts(stage: &mut Stage, script: &Script) -> Result<(), Failure> {
    let mut last = None;
    for step in &script.steps {
        if step.when == When::Settled {
            Box::pin(check::at_rest(stage))
                .await
                .map_err(|failure| failure.after(last))?;
        }
        stage.wait_and_do(step).await;
        last = Some(step.number);
        if let What::User { action, .. } = &step.what {
            stage.count(&format!("action: {}", action.word()));
        } else {
            stage.count(&format!("step: {}", step.what.word()));
        }
    }
    Box::pin(check::at_the_end(stage))
        .await
        .map_err(|failure| failure.after(last))
}
