//! `[mail]`

use std::num::NonZeroU16;
use std::path::PathBuf;

use cairn_server::{MailConfig, MailEncryption};
use serde::Deserialize;

use super::{ConfigFile, read};
use crate::error::{CliError, CliResult};

/// How mail is sent; nothing is without `server`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MailSection {
    server: Option<String>,
    port: Option<NonZeroU16>,
    encryption: Option<EncryptionWord>,
    user: Option<String>,
    /// The password is in a file of its own: configurations are shown around.
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    from: Option<String>,
    public_url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EncryptionWord {
    Tls,
    Starttls,
    None,
}

impl ConfigFile {
    /// How mail is sent, if it is.
    pub(crate) fn mail_config(&self) -> CliResult<Option<MailConfig>> {
        let mail = &self.mail;
        let Some(server) = &mail.server else {
            return match *mail == MailSection::default() {
                true => Ok(None),
                false => Err(CliError::usage("[mail] has no server")),
            };
        };
        let needed = |value: &Option<String>, key: &str| {
            let missing = || CliError::usage(format!("[mail] has no {key}"));
            value.clone().ok_or_else(missing)
        };
        let (encryption, usual_port) = match mail.encryption.unwrap_or(EncryptionWord::Tls) {
            EncryptionWord::Tls => (MailEncryption::Tls, 465),
            EncryptionWord::Starttls => (MailEncryption::StartTls, 587),
            EncryptionWord::None => (MailEncryption::None, 25),
        };
        let credentials = match (&mail.user, &mail.password_file) {
            (Some(user), Some(file)) => {
                let password = String::from_utf8_lossy(&read(file)?).trim_end().to_owned();
                Some((user.clone(), password))
            }
            (None, None) => None,
            _ => {
                return Err(CliError::usage("[mail] has only one of user and password_file"));
            }
        };
        Ok(Some(MailConfig {
            server: server.clone(),
            port: mail.port.map_or(usual_port, NonZeroU16::get),
            encryption,
            credentials,
            authority: mail.ca_file.as_deref().map(read).transpose()?,
            from: needed(&mail.from, "from")?,
            public_url: needed(&mail.public_url, "public_url")?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The configuration is shown around, and what it is read into is printed.
    #[test]
    fn passwords_stand_in_files_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "a secret\n").unwrap();
        let settings = |key: &str, value: &str| {
            let server = "server = \"localhost\"\nfrom = \"a@b.example\"\npublic_url = \"https://b.example\"";
            format!("[mail]\n{server}\nuser = \"u\"\n{key} = {value:?}\n")
        };
        let path = file.to_str().unwrap();
        let config = ConfigFile::parse(&settings("password_file", path)).unwrap();
        let mail = config.mail_config().unwrap().unwrap();
        assert_eq!(mail.credentials, Some(("u".to_owned(), "a secret".to_owned())));
        assert!(!format!("{config:?}").contains("a secret"));
        let inline = [
            settings("password", "a secret"),
            "[oidc]\nclient_secret = \"a secret\"\n".to_owned(),
        ];
        for text in inline {
            assert!(ConfigFile::parse(&text).is_err(), "{text}");
        }
    }
}
