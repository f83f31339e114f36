//! What users do in a synced folder.

use super::words::{Name, Ref, verbs};

verbs! {
    /// What a user does. What is not there, or is there already, is not done.
    Action
    /// Writes a file that was not there.
    New "new" {
        /// Where.
        folder: Ref,
        /// Its name.
        name: Name,
        /// Bytes.
        size: u64,
    }
    /// Writes a file whose bytes follow from a number alone: the same on whichever device it is written.
    Twin "twin" {
        /// Where.
        folder: Ref,
        /// Its name.
        name: Name,
        /// The number.
        content: u64,
    }
    /// Empties a file and writes it anew.
    Overwrite "overwrite" {
        /// The file.
        file: Ref,
        /// Bytes.
        size: u64,
    }
    /// Empties a file and writes it anew in pieces, with pauses.
    SlowSave "slow-save" {
        /// The file.
        file: Ref,
        /// Bytes of each piece.
        size: u64,
        /// Pieces.
        pieces: u64,
        /// Milliseconds between two of them.
        pause_ms: u64,
    }
    /// Writes behind the end of a file.
    Append "append" {
        /// The file.
        file: Ref,
        /// Bytes.
        size: u64,
    }
    /// Writes into the middle of a file, whose length stays.
    Patch "patch" {
        /// The file.
        file: Ref,
        /// Whether the modification time is put back to what it was.
        keeps_mtime: bool,
    }
    /// Writes a new file beside the old one and renames it over that.
    SaveByRename "save-by-rename" {
        /// The file.
        file: Ref,
        /// Bytes.
        size: u64,
    }
    /// Renames the old file to a backup and writes the new one.
    SaveWithBackup "save-with-backup" {
        /// The file.
        file: Ref,
        /// Bytes.
        size: u64,
        /// Whether the backup stays.
        keeps_backup: bool,
    }
    /// Writes the new file beside, renames the old one away and the new one into place, removes the old one.
    OfficeSave "office-save" {
        /// The file.
        file: Ref,
        /// Bytes.
        size: u64,
        /// Milliseconds between the three.
        pause_ms: u64,
    }
    /// Renames in its folder.
    Rename "rename" {
        /// What.
        node: Ref,
        /// The new name.
        name: Name,
    }
    /// Moves into another folder.
    Move "move" {
        /// What.
        node: Ref,
        /// Where.
        folder: Ref,
    }
    /// Renames over another file.
    MoveOver "move-over" {
        /// The file that moves.
        from: Ref,
        /// The file that goes.
        over: Ref,
    }
    /// Swaps two names by way of a third.
    Swap "swap" {
        /// One.
        one: Ref,
        /// The other.
        other: Ref,
    }
    /// Renames to the same name in other case.
    CaseRename "case-rename" {
        /// What.
        node: Ref,
    }
    /// Renames to the same name in the other normal form.
    FormRename "form-rename" {
        /// What.
        node: Ref,
    }
    /// Makes a folder.
    MakeFolder "make-folder" {
        /// Where.
        folder: Ref,
        /// Its name.
        name: Name,
    }
    /// Removes a file or link.
    Remove "remove" {
        /// The file.
        file: Ref,
    }
    /// Removes a folder with all that is in it.
    RemoveTree "remove-tree" {
        /// The folder.
        folder: Ref,
    }
    /// Puts a folder with a file in it in place of a file.
    FileToFolder "file-to-folder" {
        /// The file.
        file: Ref,
        /// Bytes of the new file.
        size: u64,
    }
    /// Puts a file in place of a folder and all that is in it.
    FolderToFile "folder-to-file" {
        /// The folder.
        folder: Ref,
        /// Bytes.
        size: u64,
    }
    /// Makes a symbolic link.
    Symlink "symlink" {
        /// Where.
        folder: Ref,
        /// Its name.
        name: Name,
        /// What it says.
        target: Name,
    }
    /// Makes a file executable, or no longer.
    Exec "exec" {
        /// The file.
        file: Ref,
    }
    /// Sets a file's modification time to this one, in nanoseconds since 1970.
    Touch "touch" {
        /// The file.
        file: Ref,
        /// The time.
        mtime_ns: i64,
    }
    /// Gives a file a second name.
    HardLink "hard-link" {
        /// The file.
        file: Ref,
        /// Where.
        folder: Ref,
        /// The second name.
        name: Name,
    }
    /// Opens a file and keeps it open.
    Hold "hold" {
        /// The file.
        file: Ref,
    }
    /// Writes at the end of what is held open, wherever it is by now.
    WriteHeld "write-held" {
        /// Bytes.
        size: u64,
    }
    /// Lets the system write out everything.
    Sync "sync" {}
    /// Writes many small files into a folder of its own.
    Many "many" {
        /// Where.
        folder: Ref,
        /// The name of the new folder.
        name: Name,
        /// How many.
        count: u64,
    }
}
