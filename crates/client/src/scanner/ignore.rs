//! What is not synced on its own account: what editors and systems leave for themselves, and what the user's rules say.
//!
//! Ignoring keeps new things of this disk from being sent, and nothing else. What is synced already stays synced, what
//! is on the server comes to the disk, and nothing is deleted anywhere because of a rule.

pub mod rules;
mod scope;

pub use scope::IgnoredBy;
pub(super) use scope::{Loaded, RulesMemory, Scope};

/// The name of a file of rules, in any folder. It is synced as any other file, so that all devices have its rules.
pub const IGNORE_FILE: &str = ".cairnignore";

/// Whether a new file or folder of this name is left alone. What is synced already stays synced.
pub fn is_ignored(name: &str) -> bool {
    name.starts_with("~$") || name.starts_with(".~lock") || name.ends_with(".swp") || is_junk(name)
}

/// Whether it is a system's own note on a folder, which holds nothing of the user's.
pub fn is_junk(name: &str) -> bool {
    matches!(name, ".DS_Store" | "Thumbs.db")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_and_systems_files_are_ignored() {
        for name in [
            "~$letter.docx",
            ".~lock.table.ods#",
            ".notes.txt.swp",
            ".DS_Store",
            "Thumbs.db",
        ] {
            assert!(is_ignored(name), "{name}");
        }
        for name in [
            "notes.txt~",
            "desktop.ini",
            "swp",
            "letter~$.docx",
            "DS_Store",
            "a.tmp",
        ] {
            assert!(!is_ignored(name), "{name}");
        }
    }
}
