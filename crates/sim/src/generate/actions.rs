//! Which actions users choose.

use super::Draft;
use crate::script::{Action, Name, Ref};

/// Few names, so that they meet: in other case, in the other normal form, and hard ones.
const NAMES: [&str; 22] = [
    "a.txt",
    "A.txt",
    "b.txt",
    "c",
    "C",
    "notes.md",
    "Notes.md",
    "\u{e9}t\u{e9}",
    "e\u{301}te\u{301}",
    "\u{c9}t\u{e9}",
    "folder",
    "Folder",
    "d1",
    "d2",
    "d3",
    "stra\u{df}e",
    "trailing. ",
    "CON",
    "a b",
    ".hidden",
    "report (conflict).txt",
    "\u{1f600}.png",
];

impl Draft {
    pub(super) fn name(&mut self) -> Name {
        let name = self.random.pick(&NAMES).copied().unwrap_or("a.txt");
        Name(name.to_owned())
    }

    pub(super) fn size(&mut self) -> u64 {
        match self.random.below(40) {
            0 => 0,
            1 => 100_000 + self.random.below(300_000),
            2..=5 => 1 + self.random.below(30),
            _ => 24 + self.random.below(2_000),
        }
    }

    fn nth(&mut self) -> Ref {
        Ref::Nth(self.random.below(60))
    }

    pub(super) fn an_action(&mut self) -> Action {
        // A tree must grow before it can be changed.
        let choice = if self.steps.len() < 6 {
            self.random.below(9)
        } else {
            self.random.below(44)
        };
        match choice {
            0..=5 => Action::New {
                folder: self.nth(),
                name: self.name(),
                size: self.size(),
            },
            6..=8 => Action::MakeFolder {
                folder: self.nth(),
                name: self.name(),
            },
            9..=21 => self.a_save(),
            22..=33 => self.a_move(),
            _ => self.something_else(),
        }
    }

    fn a_save(&mut self) -> Action {
        let (file, size) = (self.nth(), self.size());
        match self.random.below(12) {
            0..=2 => Action::Overwrite { file, size },
            3 => Action::SlowSave {
                file,
                size: 1 + size / 4,
                pieces: 2 + self.random.below(3),
                pause_ms: self.random.below(400),
            },
            4 => Action::Append { file, size },
            5..=6 => Action::Patch {
                file,
                keeps_mtime: self.random.below(2) == 0,
            },
            7..=8 => Action::SaveByRename { file, size },
            9 => Action::SaveWithBackup {
                file,
                size,
                keeps_backup: self.random.below(2) == 0,
            },
            10 => Action::OfficeSave {
                file,
                size,
                pause_ms: self.random.below(200),
            },
            _ if self.has_turns => Action::Append { file, size },
            _ if self.random.below(2) == 0 => Action::Hold { file },
            _ => Action::WriteHeld { size },
        }
    }

    fn a_move(&mut self) -> Action {
        let node = self.nth();
        match self.random.below(10) {
            0..=2 => Action::Rename {
                node,
                name: self.name(),
            },
            3..=5 => Action::Move {
                node,
                folder: self.nth(),
            },
            6 => Action::MoveOver {
                from: node,
                over: self.nth(),
            },
            7 => Action::Swap {
                one: node,
                other: self.nth(),
            },
            8 => Action::CaseRename { node },
            _ => Action::FormRename { node },
        }
    }

    fn something_else(&mut self) -> Action {
        let node = self.nth();
        match self.random.below(12) {
            0..=2 => Action::Remove { file: node },
            3 => Action::RemoveTree { folder: node },
            4 => Action::FileToFolder {
                file: node,
                size: self.size(),
            },
            5 => Action::FolderToFile {
                folder: node,
                size: self.size(),
            },
            6 => Action::Symlink {
                folder: node,
                name: self.name(),
                target: Name(format!("../{}", self.name().0)),
            },
            7 => Action::Exec { file: node },
            8 => Action::Touch {
                file: node,
                mtime_ns: [
                    -1_000_000_000,
                    0,
                    1,
                    1_700_000_000_123_456_789,
                    4_000_000_000_000_000_000,
                ][self.random.below(5) as usize],
            },
            9 => Action::HardLink {
                file: node,
                folder: self.nth(),
                name: self.name(),
            },
            10 => Action::Twin {
                folder: node,
                name: self.name(),
                content: self.random.below(4),
            },
            _ => Action::Sync {},
        }
    }
}
