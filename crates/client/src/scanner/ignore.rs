//! Names that are never synced on their own account: what editors and systems leave for themselves.

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
