//! Makes a failing script small: takes out steps while it still fails in the same way.

use crate::run::{Failure, Outcome};
use crate::script::{Script, Step, When};

/// Runs that are tried at most.
const TRIES: usize = 600;

/// A small script that fails as the given one does, and how it fails.
///
/// Source: Zeller, Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002 (ddmin). `may_go_on` ends it
/// early.
pub fn shrink(
    script: &Script,
    failure: &Failure,
    run: impl Fn(&Script) -> Outcome,
    may_go_on: impl Fn() -> bool,
) -> (Script, Failure) {
    let mut best = (script.clone(), failure.clone());
    let mut pieces = 2;
    let mut tries = 0;
    while best.0.steps.len() > 1 {
        let size = best.0.steps.len().div_ceil(pieces);
        let mut is_smaller = false;
        let mut start = 0;
        while start < best.0.steps.len() {
            if tries == TRIES || !may_go_on() {
                return best;
            }
            tries += 1;
            let candidate = best.0.with_steps(without(&best.0, start, size));
            let same = run(&candidate)
                .failure
                .filter(|found| found.invariant == failure.invariant);
            match same {
                // What stands at `start` now has not been tried.
                Some(found) => {
                    best = (candidate, found);
                    is_smaller = true;
                }
                None => start += size,
            }
        }
        if is_smaller {
            pieces = pieces.max(3) - 1;
        } else if size == 1 {
            break;
        } else {
            pieces = (pieces * 2).min(best.0.steps.len());
        }
    }
    best
}

/// The steps without `count` of them. A run of turns stays one: what comes first in a turn waits until all has settled,
/// since two users at once are more than a plain map can judge.
fn without(script: &Script, start: usize, count: usize) -> Vec<Step> {
    let (before, rest) = script.steps.split_at(start);
    let (taken, after) = rest.split_at(count.min(rest.len()));
    let mut after = after.to_vec();
    if script.options.has_turns
        && taken.iter().any(|step| step.when == When::Settled)
        && let Some(next) = after.first_mut()
    {
        next.when = When::Settled;
    }
    [before, &after].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Fault, What, When};

    #[test]
    fn only_the_steps_that_matter_are_left() {
        let steps = (0..40).map(|number| Step {
            number,
            when: When::Settled,
            what: What::Fault(Fault::Wait { ms: number }),
        });
        let script = Script {
            seed: 1,
            options: Default::default(),
            steps: steps.collect(),
        };
        let fails = |script: &Script| {
            let has = |number| script.steps.iter().any(|step| step.number == number);
            let failure = (has(7) && has(31)).then(|| Failure {
                invariant: "both".to_owned(),
                what: String::new(),
                step: None,
            });
            Outcome {
                failure,
                ..Outcome::default()
            }
        };
        let failure = fails(&script).failure.unwrap();
        let (small, _) = shrink(&script, &failure, fails, || true);
        let left: Vec<u64> = small.steps.iter().map(|step| step.number).collect();
        assert_eq!(left, [7, 31]);
    }
    #[test]
    fn a_turn_that_lost_its_first_step_still_waits() {
        let fault = |number, when| Step {
            number,
            when,
            what: What::Fault(Fault::Wait { ms: number }),
        };
        let steps = vec![
            fault(0, When::After(0)),
            fault(1, When::Settled),
            fault(2, When::After(0)),
            fault(3, When::After(5)),
        ];
        let mut script = Script {
            seed: 1,
            options: Default::default(),
            steps,
        };
        assert_eq!(without(&script, 1, 1)[1].when, When::After(0));
        script.options.has_turns = true;
        assert_eq!(without(&script, 1, 1)[1].when, When::Settled);
        assert_eq!(without(&script, 2, 1)[2].when, When::After(5));
    }
}
