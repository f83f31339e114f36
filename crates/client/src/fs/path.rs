//! Where something is below a root.

use std::fmt;

/// A path below the root: disk names from the top down, empty for the root itself. Disk names are bytes on Linux; those
/// that are not UTF-8 never become a [`DiskPath`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DiskPath(Vec<String>);

impl DiskPath {
    /// The root.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The path of these names, from the top down.
    pub const fn from_names(names: Vec<String>) -> Self {
        Self(names)
    }

    /// The path of something in this folder.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    /// The folder that holds it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        Some(Self(above.to_vec()))
    }

    /// The last name; `None` for the root.
    pub fn name(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }

    /// The names from the top down.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

/// Printed with slashes, as people write it.
impl fmt::Display for DiskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl fmt::Debug for DiskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.join("/"))
    }
}
