//! How what happened is told.

use crate::progress::DirectionSnapshot;
use crate::reason::Reason;
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
        let reason = match problem.reason {
            ProblemReason::Name(_) => Reason::BadName,
            ProblemReason::Unreadable(_) => Reason::NotUtf8,
            ProblemReason::Special => Reason::SpecialFile,
            ProblemReason::MountPoint => Reason::MountPoint,
            ProblemReason::LinkTarget => Reason::BadLink,
            ProblemReason::TooDeep => Reason::TooDeep,
            ProblemReason::TooLarge => Reason::TooLarge,
            ProblemReason::IgnoreRule { .. } => Reason::IgnoreRule,
            ProblemReason::UnknownRules(_) | ProblemReason::Io(_) => Reason::Unreadable,
        };
        Self {
            path: problem.path.to_string(),
            code: reason.code().to_owned(),
            message: problem.reason.to_string(),
        }
    }
}
