//! What a token may do.

use std::fmt;

/// One thing that a token may be allowed to do. All but [`Scope::Sync`] have the names that Dropbox gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Speak `/sync/1`, as linked devices do.
    Sync,
    /// See whose account it is.
    AccountInfoRead,
    /// Change what others see of the account.
    AccountInfoWrite,
    /// See names, sizes and revisions.
    FilesMetadataRead,
    /// Change tags, properties and the like.
    FilesMetadataWrite,
    /// Read contents.
    FilesContentRead,
    /// Write, move and delete.
    FilesContentWrite,
    /// See links and members.
    SharingRead,
    /// Make links and change members.
    SharingWrite,
    /// See file requests.
    FileRequestsRead,
    /// Make and change file requests.
    FileRequestsWrite,
    /// See contacts.
    ContactsRead,
    /// Change contacts.
    ContactsWrite,
}

impl Scope {
    /// Every scope, with its name.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::Sync, "sync"),
        (Self::AccountInfoRead, "account_info.read"),
        (Self::AccountInfoWrite, "account_info.write"),
        (Self::FilesMetadataRead, "files.metadata.read"),
        (Self::FilesMetadataWrite, "files.metadata.write"),
        (Self::FilesContentRead, "files.content.read"),
        (Self::FilesContentWrite, "files.content.write"),
        (Self::SharingRead, "sharing.read"),
        (Self::SharingWrite, "sharing.write"),
        (Self::FileRequestsRead, "file_requests.read"),
        (Self::FileRequestsWrite, "file_requests.write"),
        (Self::ContactsRead, "contacts.read"),
        (Self::ContactsWrite, "contacts.write"),
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        // The table is in the order of the variants.
        Self::ALL[self as usize].1
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of [`Scope`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u32);

impl Scopes {
    /// Everything: what a linked device may do.
    pub const ALL: Self = Self((1 << Scope::ALL.len()) - 1);
    /// Everything that an app can be allowed to do: all but `sync`.
    pub const APP: Self = Self(Self::ALL.0 & !Scope::Sync.bit());
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Whether it holds a scope.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The same with one more.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// What both hold.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The same with what is of no use without: who writes or reads files sees their names, who changes something sees it.
    /// Dropbox gives these too, and apps rely on it.
    #[must_use]
    pub fn with_implied(self) -> Self {
        let implied = [
            (Scope::AccountInfoWrite, Scope::AccountInfoRead),
            (Scope::FilesMetadataWrite, Scope::FilesMetadataRead),
            (Scope::FilesContentRead, Scope::FilesMetadataRead),
            (Scope::FilesContentWrite, Scope::FilesMetadataRead),
            (Scope::SharingWrite, Scope::SharingRead),
            (Scope::FileRequestsWrite, Scope::FileRequestsRead),
            (Scope::ContactsWrite, Scope::ContactsRead),
        ];
        let held = implied.into_iter().filter(|(scope, _)| self.has(*scope));
        held.fold(self, |scopes, (_, implied)| scopes.with(implied))
    }

    /// Reads names that are separated by spaces; the first unknown one is the error.
    ///
    /// # Errors
    /// The word that names no scope.
    pub fn parse(text: &str) -> Result<Self, &str> {
        text.split_whitespace().try_fold(Self::NONE, |scopes, word| {
            let known = Scope::ALL.into_iter().find(|(_, name)| *name == word);
            known.map(|(scope, _)| scopes.with(scope)).ok_or(word)
        })
    }

    /// As a number, for storage.
    pub const fn to_bits(self) -> i64 {
        self.0 as i64
    }

    /// From a stored number; what this version does not know is left out.
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits as u32 & Self::ALL.0)
    }
}

/// The names, separated by spaces.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (scope, name) in Scope::ALL {
            if self.has(scope) {
                write!(f, "{between}{name}")?;
                between = " ";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_back() {
        for (index, (scope, name)) in Scope::ALL.into_iter().enumerate() {
            assert_eq!(scope as usize, index);
            assert_eq!(scope.name(), name);
            let one = Scopes::NONE.with(scope);
            assert_eq!(Scopes::parse(name), Ok(one));
            assert_eq!(Scopes::from_bits(one.to_bits()), one);
            assert!(one.has(scope) && Scopes::ALL.has(scope));
        }
        assert_eq!(Scopes::parse(&Scopes::APP.to_string()), Ok(Scopes::APP));
        assert!(!Scopes::APP.has(Scope::Sync));
        let written = Scopes::NONE.with(Scope::FilesContentWrite).with_implied();
        assert_eq!(written.to_string(), "files.metadata.read files.content.write");
        assert_eq!(Scopes::APP.with_implied(), Scopes::APP);
        assert_eq!(Scopes::parse("sync everything"), Err("everything"));
        assert_eq!(Scopes::from_bits(-1), Scopes::ALL);
    }
}
