//! Why a path, or the whole folder, is not in sync: one stable code for each state that is not green.

use std::fmt;

/// What a state that is not green means for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weight {
    /// The path stays on this device on purpose; everything else may be in sync.
    Harmless,
    /// It goes away by itself.
    Pending,
    /// It needs somebody.
    Blocked,
}

/// A cause with its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A rule says that it is not synced.
    Ignored,
    /// It lies in a folder that this device does not keep.
    Excluded,
    /// No node may have its name.
    BadName,
    /// Its name is not UTF-8.
    NotUtf8,
    /// A socket, a device or a pipe.
    SpecialFile,
    /// Another disk is mounted there.
    MountPoint,
    /// A link whose target cannot be kept.
    BadLink,
    /// A line of the ignore file is no rule.
    IgnoreRule,
    /// The server has it no more; it stays for what is in it and is not synced.
    LeftFolder,
    /// It has not been looked at yet.
    NotScanned,
    /// It waits to be sent.
    Upload,
    /// It waits to be fetched.
    Download,
    /// A program is writing it.
    Busy,
    /// It may have changed within the tick of the clock in which it was read.
    Unsure,
    /// Steps were begun and are not finished.
    Unfinished,
    /// The user paused syncing.
    Paused,
    /// The server cannot be reached.
    Offline,
    /// The server does not tell what happens.
    NoEvents,
    /// Content could not be fetched.
    FetchFailed,
    /// The server lost chunks of it.
    MissingChunks,
    /// The server has moved on.
    Stale,
    /// Another change of the disk failed.
    Disk,
    /// The local disk is full.
    DiskFull,
    /// The account's space on the server is used up.
    OverQuota,
    /// It cannot be read.
    Unreadable,
    /// It lies below too many folders.
    TooDeep,
    /// It has more chunks than a file may have.
    TooLarge,
    /// The server's copy is damaged.
    Damaged,
    /// The server turned it down.
    Rejected,
    /// The server refuses this device.
    Refused,
    /// Most of the files vanished at once.
    MassDelete,
    /// The synced folder is gone.
    FolderGone,
    /// The device's own state cannot be used.
    State,
    /// Neither the disk nor the server has it.
    NotKnown,
}

impl Reason {
    /// All of them, in the order in which `docs/cli.md` lists them.
    pub const ALL: [Self; 34] = [
        Self::Ignored,
        Self::Excluded,
        Self::BadName,
        Self::NotUtf8,
        Self::SpecialFile,
        Self::MountPoint,
        Self::BadLink,
        Self::IgnoreRule,
        Self::LeftFolder,
        Self::NotScanned,
        Self::Upload,
        Self::Download,
        Self::Busy,
        Self::Unsure,
        Self::Unfinished,
        Self::Paused,
        Self::Offline,
        Self::NoEvents,
        Self::FetchFailed,
        Self::MissingChunks,
        Self::Stale,
        Self::Disk,
        Self::DiskFull,
        Self::OverQuota,
        Self::Unreadable,
        Self::TooDeep,
        Self::TooLarge,
        Self::Damaged,
        Self::Rejected,
        Self::Refused,
        Self::MassDelete,
        Self::FolderGone,
        Self::State,
        Self::NotKnown,
    ];

    /// The word for programs. Never changes.
    pub const fn code(self) -> &'static str {
        self.texts().0
    }

    /// What is the matter, in a sentence.
    pub const fn cause(self) -> &'static str {
        self.texts().1
    }

    /// What to do, in a sentence.
    pub const fn next_step(self) -> &'static str {
        self.texts().2
    }

    /// The reason of a code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// What it means for the user.
    pub const fn weight(self) -> Weight {
        match self {
            Self::Ignored
            | Self::Excluded
            | Self::BadName
            | Self::NotUtf8
            | Self::SpecialFile
            | Self::MountPoint
            | Self::BadLink
            | Self::IgnoreRule
            | Self::LeftFolder => Weight::Harmless,
            Self::NotScanned
            | Self::Upload
            | Self::Download
            | Self::Busy
            | Self::Unsure
            | Self::Unfinished
            | Self::Offline
            | Self::NoEvents
            | Self::FetchFailed
            | Self::MissingChunks
            | Self::Stale => Weight::Pending,
            Self::Paused
            | Self::Disk
            | Self::DiskFull
            | Self::OverQuota
            | Self::Unreadable
            | Self::TooDeep
            | Self::TooLarge
            | Self::Damaged
            | Self::Rejected
            | Self::Refused
            | Self::MassDelete
            | Self::FolderGone
            | Self::State
            | Self::NotKnown => Weight::Blocked,
        }
    }

    /// Code, cause and next step.
    #[expect(clippy::too_many_lines, reason = "a table: one entry for each reason")]
    const fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Ignored => (
                "ignored",
                "a rule says that it is not synced",
                "change the rule in .cairnignore if it should be",
            ),
            Self::Excluded => (
                "excluded",
                "this device does not keep that folder",
                "keep it again with \"cairn exclude --remove\"",
            ),
            Self::BadName => ("bad-name", "its name cannot be synced", "give it another name"),
            Self::NotUtf8 => ("not-utf8", "its name is not UTF-8", "give it another name"),
            Self::SpecialFile => (
                "special-file",
                "sockets, devices and pipes are not synced",
                "nothing needs to be done",
            ),
            Self::MountPoint => (
                "mount-point",
                "another disk is mounted here",
                "sync that disk by a device of its own",
            ),
            Self::BadLink => (
                "bad-link",
                "the link's target is not UTF-8 or too long",
                "make a link to another target",
            ),
            Self::IgnoreRule => (
                "ignore-rule",
                "a line of .cairnignore is not a rule",
                "correct that line; the others hold",
            ),
            Self::LeftFolder => (
                "left-folder",
                "the server has this folder no more; it stays for what is in it and is not synced",
                "move or delete what is in it",
            ),
            Self::NotScanned => (
                "not-scanned",
                "it changed on the disk and has not been looked at yet",
                "wait; \"cairn wait\" returns when it is done",
            ),
            Self::Upload => (
                "upload",
                "it waits to be sent to the server",
                "wait; \"cairn wait\" returns when it is done",
            ),
            Self::Download => (
                "download",
                "it waits to be fetched from the server",
                "wait; \"cairn wait\" returns when it is done",
            ),
            Self::Busy => (
                "busy",
                "a program is writing it",
                "it is sent when the program is done with it",
            ),
            Self::Unsure => (
                "unsure",
                "it may have changed in the moment in which it was read",
                "it is read once more in a few seconds",
            ),
            Self::Unfinished => (
                "unfinished",
                "steps that were begun are not finished",
                "they are finished by the next pass",
            ),
            Self::Paused => ("paused", "syncing is paused", "go on with \"cairn resume\""),
            Self::Offline => (
                "offline",
                "the server cannot be reached",
                "it is tried again; check the network",
            ),
            Self::NoEvents => (
                "no-events",
                "the server's stream of events is down, so changes of others arrive late",
                "it is opened again; check proxies on the way",
            ),
            Self::FetchFailed => (
                "fetch-failed",
                "its content could not be fetched",
                "it is tried again",
            ),
            Self::MissingChunks => (
                "missing-chunks",
                "the server lacks parts of it",
                "they are sent again",
            ),
            Self::Stale => ("stale", "the server has moved on meanwhile", "it is planned anew"),
            Self::Disk => (
                "disk",
                "it could not be changed on the disk",
                "check permissions and the disk; it is tried again",
            ),
            Self::DiskFull => (
                "disk-full",
                "the disk is full",
                "free some space; it is tried again",
            ),
            Self::OverQuota => (
                "over-quota",
                "the account's space on the server is used up",
                "delete something or ask for a larger quota",
            ),
            Self::Unreadable => (
                "unreadable",
                "it cannot be read",
                "check its permissions; it is tried again",
            ),
            Self::TooDeep => ("too-deep", "it lies below too many folders", "move it further up"),
            Self::TooLarge => ("too-large", "it is larger than a file may be", "split it"),
            Self::Damaged => (
                "damaged",
                "the server's copy of it is damaged",
                "a device that has it can send it again",
            ),
            Self::Rejected => (
                "rejected",
                "the server turned it down",
                "see what the server says, and its log",
            ),
            Self::Refused => (
                "refused",
                "the server refuses this device",
                "run \"cairn doctor\"; perhaps log in again",
            ),
            Self::MassDelete => (
                "mass-delete",
                "most of the files vanished from the folder at once: their deletion is held",
                "put them back, or say that it is meant with \"cairn resume --release-deletes\"",
            ),
            Self::FolderGone => (
                "folder-gone",
                "the synced folder is gone, or is another one",
                "put it back, or unlink this device and link it anew",
            ),
            Self::State => (
                "state",
                "the device's own state cannot be used",
                "run \"cairn doctor\"",
            ),
            Self::NotKnown => (
                "not-known",
                "neither this device nor the server has it",
                "check the spelling",
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause(), self.next_step())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_its_own_and_is_in_the_manual() {
        let manual = include_str!("../../../docs/cli.md");
        let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let row = format!("| `{}` |", reason.code());
            assert!(manual.contains(&row), "docs/cli.md does not list {row}");
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
    }
}
