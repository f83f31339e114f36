//! How what happened is told.

use crate::progress::DirectionSnapshot;
use crate::scanner::{self, ProblemReason};
use crate::status::{Problem, Transfer};

impl From<DirectionSnapshot> for Transfer {
    fn from(direction: DirectionSnapshot) -> Self {
        Self {
            bytes_done: direction.bytes_done,
            bytes_total: direction.bytes_total,
            files_done: direction.files_done,
            files_total: direction.files_total,
        }
    }
}

impl From<&scanner::Problem> for Problem {
    fn from(problem: &scanner::Problem) -> Self {
        let code = match problem.reason {
            ProblemReason::Name(_) => "bad-name",
            ProblemReason::Unreadable(_) => "not-utf8",
            ProblemReason::Special => "special-file",
            ProblemReason::MountPoint => "mount-point",
            ProblemReason::LinkTarget => "bad-link",
            ProblemReason::TooDeep => "too-deep",
            ProblemReason::TooLarge => "too-large",
            ProblemReason::Io(_) => "unreadable",
        };
        Self {
            path: problem.path.to_string(),
            code: code.to_owned(),
            message: problem.reason.to_string(),
        }
    }
}
