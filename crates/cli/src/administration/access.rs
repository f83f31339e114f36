//! Orders about apps and tokens.

use std::time::Duration;

use cairn_core::runtime::Runtime;
use cairn_metadata::{App, Device, LinkKind, MetadataStore};
use cairn_server::ServiceError;
use cairn_server::service::accounts::apps::{self, NewApp};
use cairn_server::service::accounts::made::{self, NewToken};
use serde::{Deserialize, Serialize};

use super::Answer;

/// An order about apps and tokens.
#[derive(Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum AccessOrder {
    /// Register an app.
    AddApp {
        name: String,
        redirect_uris: Vec<String>,
        folder: Option<String>,
    },
    /// List the registered apps.
    ListApps,
    /// Forget an app and unlink it everywhere.
    RemoveApp { key: String },
    /// Make a token for an account.
    MakeToken {
        email: String,
        name: String,
        scopes: String,
        days: Option<u32>,
    },
    /// List an account's tokens.
    ListTokens { email: String },
    /// Revoke a token.
    RevokeToken { email: String, id: String },
}

/// A registered app as it is listed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListedApp {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) folder: Option<String>,
    pub(crate) created_at_ms: i64,
}

/// A token as it is listed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListedToken {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_at_ms: i64,
    pub(crate) last_seen_at_ms: i64,
}

pub(super) async fn carry_out(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    order: AccessOrder,
) -> Result<Answer, ServiceError> {
    match order {
        AccessOrder::AddApp {
            name,
            redirect_uris,
            folder,
        } => {
            let new = NewApp {
                name,
                redirect_uris,
                folder,
            };
            let (app, secret) = apps::register_app(metadata, runtime, new).await?;
            return Ok(Answer::AppAdded {
                key: app.key.to_string(),
                secret,
            });
        }
        AccessOrder::ListApps => {
            let apps = apps::list_apps(metadata).await?;
            let apps = apps.into_iter().map(listed_app).collect();
            return Ok(Answer::Apps { apps });
        }
        AccessOrder::RemoveApp { key } => apps::remove_app(metadata, &key).await?,
        AccessOrder::MakeToken {
            email,
            name,
            scopes,
            days,
        } => {
            let lifetime = days.map(|days| Duration::from_secs(u64::from(days) * 86_400));
            let new = NewToken {
                name,
                scopes,
                lifetime,
            };
            let (id, token) = made::make_token(metadata, runtime, &email, new).await?;
            return Ok(Answer::Token {
                id: id.to_string(),
                token,
            });
        }
        AccessOrder::ListTokens { email } => {
            let links = made::list_links(metadata, &email).await?;
            let tokens = links.into_iter().filter(|link| link.kind == LinkKind::Token);
            let tokens = tokens.map(listed_token).collect();
            return Ok(Answer::Tokens { tokens });
        }
        AccessOrder::RevokeToken { email, id } => revoke(metadata, &email, &id).await?,
    }
    Ok(Answer::Done)
}

async fn revoke(metadata: &dyn MetadataStore, email: &str, id: &str) -> Result<(), ServiceError> {
    let links = made::list_links(metadata, email).await?;
    let named = |link: &Device| link.kind == LinkKind::Token && link.id.to_string() == id;
    let token = links.into_iter().find(named);
    let token = token.ok_or(ServiceError::NotFound("a token with that id"))?;
    made::remove_link(metadata, email, token.id).await
}

fn listed_app(app: App) -> ListedApp {
    ListedApp {
        key: app.key.to_string(),
        name: app.name,
        redirect_uris: app.redirect_uris,
        folder: app.folder,
        created_at_ms: app.created_at.as_millis(),
    }
}

fn listed_token(token: Device) -> ListedToken {
    ListedToken {
        id: token.id.to_string(),
        name: token.name,
        created_at_ms: token.created_at.as_millis(),
        last_seen_at_ms: token.last_seen_at.as_millis(),
    }
}
