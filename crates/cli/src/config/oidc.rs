//! `[oidc]`

use std::path::PathBuf;

use cairn_server::OidcConfig;
use serde::Deserialize;

use super::{ConfigFile, read};
use crate::error::{CliError, CliResult};

/// An OpenID provider by which people sign in; none without `issuer`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OidcSection {
    name: Option<String>,
    issuer: Option<String>,
    client_id: Option<String>,
    /// The secret is in a file of its own: configurations are shown around.
    client_secret_file: Option<PathBuf>,
    public_url: Option<String>,
    link_by_verified_email: Option<bool>,
    ca_file: Option<PathBuf>,
}

impl ConfigFile {
    /// By whom people sign in, if by anybody.
    pub(crate) fn oidc_config(&self) -> CliResult<Option<OidcConfig>> {
        let oidc = &self.oidc;
        let Some(issuer) = &oidc.issuer else {
            return match *oidc == OidcSection::default() {
                true => Ok(None),
                false => Err(CliError::usage("[oidc] has no issuer")),
            };
        };
        let needed = |value: &Option<String>, key: &str| {
            let missing = || CliError::usage(format!("[oidc] has no {key}"));
            value.clone().ok_or_else(missing)
        };
        let secret = oidc.client_secret_file.as_deref().map(read).transpose()?;
        Ok(Some(OidcConfig {
            name: needed(&oidc.name, "name")?,
            issuer: issuer.clone(),
            client_id: needed(&oidc.client_id, "client_id")?,
            client_secret: secret.map(|secret| String::from_utf8_lossy(&secret).trim_end().to_owned()),
            public_url: needed(&oidc.public_url, "public_url")?,
            link_by_verified_email: oidc.link_by_verified_email.unwrap_or(false),
            authority: oidc.ca_file.as_deref().map(read).transpose()?,
        }))
    }
}
