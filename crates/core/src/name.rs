//! What a legal name is, and when two names are the same.
//!
//! Names are stored as typed. Uniqueness within a folder is decided by a key: NFC(lower(NFC(name))).

use std::fmt;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::limits;

/// The version of the Unicode tables behind [`NameKey`]. Stored with every database: keys made by other tables must be
/// rebuilt, never compared.
pub const UNICODE_VERSION: (u8, u8, u8) = char::UNICODE_VERSION;

/// A name that no node may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no characters.
    #[error("a name cannot be empty")]
    Empty,
    /// It is `.` or `..`.
    #[error("\".\" and \"..\" are not names")]
    DotName,
    /// It holds `/` or NUL.
    #[error("a name cannot hold {0:?}")]
    ForbiddenCharacter(char),
    /// It is too long.
    #[error("a name can have 255 UTF-16 units, this one has {0}")]
    TooLong(usize),
}

/// A legal name of a node, as it was typed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule the name breaks.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name == "." || name == ".." {
            return Err(NameError::DotName);
        }
        if let Some(character) = name.chars().find(|c| matches!(c, '/' | '\0')) {
            return Err(NameError::ForbiddenCharacter(character));
        }
        let units = name.encode_utf16().count();
        if units > limits::NAME_UTF16_UNITS {
            return Err(NameError::TooLong(units));
        }
        Ok(Self(name))
    }

    /// The name as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that decides uniqueness in a folder.
    pub fn key(&self) -> NameKey {
        if self.0.is_ascii() {
            return NameKey(self.0.to_ascii_lowercase());
        }
        let composed: String = if is_nfc(&self.0) {
            self.0.clone()
        } else {
            self.0.nfc().collect()
        };
        NameKey(composed.to_lowercase().nfc().collect())
    }

    /// The name in Unicode's composed form. Disks may list a name in another form than it was made in: names of one
    /// composed form are one name, spelled anew.
    pub fn composed(&self) -> Self {
        if is_nfc(&self.0) {
            self.clone()
        } else {
            Self(self.0.nfc().collect())
        }
    }

    /// The name with `suffix` put before its extension, shortened at the stem so that it stays legal on every platform.
    /// Used for conflicted copies: `report.pdf` and ` (conflict)` give `report (conflict).pdf`.
    ///
    /// `suffix` must be short, legal text; at most [`limits::NAME_UTF16_UNITS`] bytes are returned, which suits Linux too.
    pub fn with_suffix(&self, suffix: &str) -> Self {
        self.with_suffix_within(suffix, limits::NAME_UTF16_UNITS)
    }

    /// As [`Self::with_suffix`], at most so many `bytes` long: for disks that hold shorter names. Suffix and extension are kept
    /// whole.
    pub fn with_suffix_within(&self, suffix: &str, bytes: usize) -> Self {
        let (stem, extension) = match self.0.rfind('.') {
            // A long "extension" is no extension, and a leading dot starts a hidden file's stem.
            Some(dot) if dot > 0 && self.0.len() - dot <= 16 => self.0.split_at(dot),
            _ => (self.0.as_str(), ""),
        };
        let room = bytes.saturating_sub(suffix.len() + extension.len());
        let mut end = stem.len().min(room);
        while !stem.is_char_boundary(end) {
            end -= 1;
        }
        Self(format!("{}{suffix}{extension}", &stem[..end]))
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Two names with one key cannot stand in one folder. Ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NameKey(String);

impl NameKey {
    /// The key as text, for storage.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::new(text).unwrap()
    }

    #[test]
    fn illegal_names_are_refused_with_their_reason() {
        assert_eq!(NodeName::new(""), Err(NameError::Empty));
        assert_eq!(NodeName::new(".."), Err(NameError::DotName));
        assert_eq!(NodeName::new("a/b"), Err(NameError::ForbiddenCharacter('/')));
        assert_eq!(NodeName::new("a\0b"), Err(NameError::ForbiddenCharacter('\0')));
        assert_eq!(NodeName::new("x".repeat(256)), Err(NameError::TooLong(256)));
        assert_eq!(NodeName::new("😀".repeat(128)), Err(NameError::TooLong(256)));
    }

    #[test]
    fn awkward_names_are_kept_as_typed() {
        for text in [
            " leading",
            "trailing. ",
            "line\nbreak",
            "CON",
            "a:b*c?",
            "שלום",
            "😀".repeat(127).as_str(),
        ] {
            assert_eq!(name(text).as_str(), text);
        }
    }

    #[test]
    fn keys_fold_case_and_normalisation() {
        assert_eq!(name("README").key(), name("readme").key());
        assert_eq!(name("e\u{301}té").key(), name("ÉTE\u{301}").key());
        assert_ne!(name("a").key(), name("b").key());
        assert_ne!(name("straße").key(), name("strasse").key());
    }

    #[test]
    fn suffixes_keep_the_extension_and_the_length() {
        assert_eq!(
            name("report.pdf").with_suffix(" (conflict)").as_str(),
            "report (conflict).pdf"
        );
        assert_eq!(name(".profile").with_suffix(" (c)").as_str(), ".profile (c)");
        let short = name(&format!("{}.txt", "é".repeat(100))).with_suffix_within(" (c)", 30);
        assert_eq!(short.as_str(), format!("{} (c).txt", "é".repeat(11)));
        assert_eq!(name("a.txt").with_suffix_within(" (c)", 30).as_str(), "a (c).txt");
        let long = name(&"é".repeat(200)).with_suffix(" (conflict)");
        assert!(long.as_str().len() <= 255, "{}", long.as_str().len());
        assert!(long.as_str().ends_with(" (conflict)"));
    }

    /// A newer toolchain brings newer tables; keys in existing databases must then be rebuilt by a migration.
    #[test]
    fn the_unicode_tables_are_the_ones_that_databases_were_made_with() {
        assert_eq!(UNICODE_VERSION, (17, 0, 0));
    }
}
