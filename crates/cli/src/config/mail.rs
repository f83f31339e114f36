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
