//! Who this device is: what linking it gave, in one file that only its owner can read.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cairn_core::ids::{AccountId, DeviceId, NamespaceId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const FILE_NAME: &str = "profile.json";
/// The version of the file's format.
const FORMAT: u32 = 1;

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read or written.
    #[error("cannot {action} the profile {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not a profile.
    #[error("the profile {} is damaged; link this device again with `cairn login`", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never a value.
        #[source]
        source: MalformedProfile,
    },
    /// It was written by a newer version.
    #[error("the profile {} was written by a newer version of Cairn; install that version", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
}

/// Where a profile stops being one. Says the place and the kind of error, not what stands there: that may be the token.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}: {}", kind_of(*category))]
pub struct MalformedProfile {
    line: usize,
    column: usize,
    category: serde_json::error::Category,
}

const fn kind_of(category: serde_json::error::Category) -> &'static str {
    match category {
        serde_json::error::Category::Io | serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Data => "a value is missing or of the wrong kind",
    }
}

/// The secret that a device shows to its server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// Wraps a token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The token, for the request's header and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Never the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// A linked device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The server's address.
    pub server: String,
    /// The account.
    #[serde(with = "as_text")]
    pub account: AccountId,
    /// Its address, for people.
    pub email: String,
    /// This device.
    #[serde(with = "as_text")]
    pub device: DeviceId,
    /// Its name, as in the names of conflicted copies.
    pub device_name: String,
    /// What it proves itself with.
    pub token: Token,
    /// The namespace of the account's own files.
    #[serde(with = "as_text")]
    pub root: NamespaceId,
    /// SHA-256 of the server's certificate, hexadecimal, where it was confirmed by hand: no other is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_fingerprint: Option<String>,
    /// The folder that is kept in sync, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    format: u32,
    #[serde(flatten)]
    profile: T,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl Profile {
    /// Reads the profile in a device's home; `None` when the device is not linked.
    ///
    /// # Errors
    /// Every variant of [`ProfileError`].
    pub fn load(home: &Path) -> Result<Option<Self>, ProfileError> {
        let path = home.join(FILE_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(ProfileError::Io {
                    action: "read",
                    path,
                    source,
                });
            }
        };
        let malformed = |error: &serde_json::Error| ProfileError::Malformed {
            path: path.clone(),
            source: MalformedProfile {
                line: error.line(),
                column: error.column(),
                category: error.classify(),
            },
        };
        let Format { format } = serde_json::from_slice(&bytes).map_err(|error| malformed(&error))?;
        if format > FORMAT {
            return Err(ProfileError::Newer { path });
        }
        let read: Versioned<Self> = serde_json::from_slice(&bytes).map_err(|error| malformed(&error))?;
        Ok(Some(read.profile))
    }

    /// Writes the profile, readable by its owner alone. Durable when this returns; after a crash the old or the new one
    /// is there.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn save(&self, home: &Path) -> Result<(), ProfileError> {
        let path = home.join(FILE_NAME);
        let write = || {
            let profile = Versioned {
                format: FORMAT,
                profile: self,
            };
            write_private(home, FILE_NAME, &profile)
        };
        write().map_err(|source| ProfileError::Io {
            action: "write",
            path: path.clone(),
            source,
        })
    }

    /// Removes the profile, when the device is unlinked. Durable when this returns; nothing happens when there is none.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn remove(home: &Path) -> Result<(), ProfileError> {
        let path = home.join(FILE_NAME);
        remove_private(home, FILE_NAME).map_err(|source| ProfileError::Io {
            action: "remove",
            path: path.clone(),
            source,
        })
    }
}

/// Writes a file of a device's home, readable by its owner alone. Durable when this returns; after a crash the old or the
/// new one is there.
pub(crate) fn write_private(home: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    fs::create_dir_all(home)?;
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    let fresh = home.join(format!("{name}.new"));
    // One that a crash left behind may have other permissions.
    remove_if_there(&fresh)?;
    let mut file = private_file(&fresh)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&fresh, home.join(name))?;
    File::open(home)?.sync_all()
}

/// Removes a file of a device's home, durably; nothing happens when there is none.
pub(crate) fn remove_private(home: &Path, name: &str) -> io::Result<()> {
    if remove_if_there(&home.join(name))? {
        File::open(home)?.sync_all()?;
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn private_file(path: &Path) -> io::Result<File> {
    use std::fs::Permissions;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    // The umask may have taken more away.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

#[cfg(not(unix))]
fn private_file(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

/// Identifiers as they are printed.
mod as_text {
    use super::{Deserialize, Deserializer, Serializer, de, fmt};

    pub(super) fn serialize<T: fmt::Display, S: Serializer>(
        id: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: std::str::FromStr<Err: fmt::Display>,
        D: Deserializer<'de>,
    {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    fn profile() -> Profile {
        Profile {
            server: "https://files.example.org".to_owned(),
            account: AccountId::new(300).unwrap(),
            email: "ada@example.org".to_owned(),
            device: DeviceId::new(400).unwrap(),
            device_name: "Ada's laptop".to_owned(),
            token: Token::new("a-secret"),
            root: NamespaceId::new(500).unwrap(),
            certificate_fingerprint: Some("ab".repeat(32)),
            folder: None,
        }
    }

    #[test]
    fn a_saved_profile_is_read_back_and_private() {
        let home = TempDir::new().unwrap();
        let home = home.path().join("device");
        assert_eq!(Profile::load(&home).unwrap(), None);
        profile().save(&home).unwrap();
        let changed = Profile {
            folder: Some("/home/ada/Cairn".into()),
            ..profile()
        };
        changed.save(&home).unwrap();
        assert_eq!(Profile::load(&home).unwrap(), Some(changed));
        let mode = fs::metadata(home.join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&home).unwrap().count(), 1);
        Profile::remove(&home).unwrap();
        Profile::remove(&home).unwrap();
        assert_eq!(Profile::load(&home).unwrap(), None);
    }

    #[test]
    fn a_half_written_profile_is_replaced() {
        let home = TempDir::new().unwrap();
        fs::write(home.path().join("profile.json.new"), "{\"form").unwrap();
        profile().save(home.path()).unwrap();
        assert_eq!(Profile::load(home.path()).unwrap(), Some(profile()));
    }

    #[test]
    fn no_message_shows_the_token() {
        let home = TempDir::new().unwrap();
        assert!(!format!("{:?}", profile()).contains("a-secret"));
        let path = home.path().join(FILE_NAME);
        for text in [
            "",
            "{",
            "{\"format\": 1, \"token\": 7}",
            "{\"format\": \"a-secret\"}",
            "[]",
        ] {
            fs::write(&path, text).unwrap();
            let error = Profile::load(home.path()).unwrap_err();
            assert!(
                matches!(error, ProfileError::Malformed { .. }),
                "{text}: {error:?}"
            );
            assert!(!format!("{error:?}").contains("a-secret"));
        }
        fs::write(&path, "{\"format\": 2, \"anything\": 1}").unwrap();
        assert!(matches!(
            Profile::load(home.path()),
            Err(ProfileError::Newer { .. })
        ));
    }
}
