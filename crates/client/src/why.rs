//! What `cairn why` says of one path.

use serde::{Deserialize, Serialize};

use crate::reason::Reason;

/// The state of one path, its cause and the next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The path below the folder, with slashes.
    pub path: String,
    /// Whether disk and server agree on it.
    pub in_sync: bool,
    /// The code of [`Reason`]; `None` when it is in sync.
    pub code: Option<String>,
    /// What is the matter.
    pub cause: String,
    /// What to do; `None` when nothing needs to be done.
    pub next_step: Option<String>,
    /// What else is known: revisions, another name on the disk, what it is a copy of.
    pub notes: Vec<String>,
}

impl Explanation {
    pub(crate) fn of(path: &str, reason: Reason) -> Self {
        Self {
            path: path.to_owned(),
            in_sync: false,
            code: Some(reason.code().to_owned()),
            cause: reason.cause().to_owned(),
            next_step: Some(reason.next_step().to_owned()),
            notes: Vec::new(),
        }
    }

    pub(crate) fn agreed(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            in_sync: true,
            code: None,
            cause: "disk and server agree".to_owned(),
            next_step: None,
            notes: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}
