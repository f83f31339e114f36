//! What `cairn admin` asks for: of the running server through a socket in its data folder, else of the stores themselves.

mod access;
mod audit;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cairn_client::control::{ControlError, ControlServer, client, message};
use cairn_core::runtime::Runtime;
use cairn_metadata::{Account, MetadataStore, SqliteMetadata};
use cairn_server::service::accounts::invited::{self, NewInvitation};
use cairn_server::service::accounts::{self, NewAccount, second};
use cairn_server::service::audit::record_order;
use cairn_server::{DataFolder, DataFolderError, Letter, Server, ServiceError};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::error::{CliError, CliResult, Exit};
use crate::hosting;
pub(crate) use access::{AccessOrder, ListedApp, ListedToken};
pub(crate) use audit::{AuditLine, AuditPlace};

/// Longest request and reply in bytes: a listing of some hundred thousand accounts.
const MESSAGE_BYTES: usize = 64 * 1024;
const REPLY_BYTES: usize = 16 * 1024 * 1024;
/// How long a password may take to be hashed, and a listing to be made.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a server that has its folder and no socket yet is looked for again, and after how long.
const LOOKS: u32 = 40;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// An order.
#[derive(Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Order {
    /// Make an account.
    AddUser {
        email: String,
        password: String,
        is_admin: bool,
        quota_bytes: Option<u64>,
    },
    /// List the accounts.
    ListUsers,
    /// Lock an account out, or let it in again.
    SetDisabled { email: String, is_disabled: bool },
    /// Change what an account may keep.
    SetQuota { email: String, quota_bytes: Option<u64> },
    /// Change a password.
    SetPassword { email: String, password: String },
    /// Invite somebody.
    Invite {
        email: Option<String>,
        quota_bytes: Option<u64>,
        days: u32,
    },
    /// Read the audit log after a position.
    ExportAudit { after: AuditPlace },
    /// Make a link by which a password can be reset.
    ResetLink { email: String },
    /// Ask an account for no second factor any more.
    RemoveSecondFactor { email: String },
    /// Something about apps and tokens.
    Access { access: AccessOrder },
}

/// What became of it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(crate) enum Answer {
    Done,
    Users {
        users: Vec<User>,
    },
    Apps {
        apps: Vec<ListedApp>,
    },
    AppAdded {
        key: String,
        secret: String,
    },
    Tokens {
        tokens: Vec<ListedToken>,
    },
    Token {
        id: String,
        token: String,
    },
    Link {
        path: String,
        /// Why it was not mailed, where it should have been.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_mailed: Option<String>,
    },
    Mailed,
    Audit {
        entries: Vec<AuditLine>,
        next: Option<AuditPlace>,
    },
    Refused {
        message: String,
    },
    Failed {
        message: String,
    },
}

/// An account as it is listed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) is_admin: bool,
    pub(crate) is_disabled: bool,
    pub(crate) bytes_used: u64,
    pub(crate) quota_bytes: Option<u64>,
    pub(crate) created_at_ms: i64,
}

/// What is said when the server answers another question.
pub(crate) fn strange() -> CliError {
    CliError::failed("the server gave another answer").next("use the program that the server runs")
}

/// Where the server of a data folder listens to its administrator.
pub(crate) fn socket_of(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// Gives the order to the server that runs, or carries it out here when none does.
pub(crate) async fn give(data: &Path, runtime: &Runtime, order: Order) -> CliResult<Answer> {
    if !data.is_dir() {
        return Err(
            CliError::failed(format!("there is no data folder {}", data.display()))
                .next("name it with --data; \"cairn serve\" and \"cairn up\" make one"),
        );
    }
    let mut looks = LOOKS;
    let answer = loop {
        match client::ask_socket(&socket_of(data), &order, Some(PATIENCE)).await {
            Err(ControlError::NotRunning { .. }) => {}
            Err(ControlError::NotResponding { .. }) => {
                return Err(
                    CliError::failed(format!("the server of {} does not answer", data.display()))
                        .next("try again, or see its log"),
                );
            }
            other => break other?,
        }
        match DataFolder::open(data) {
            Ok(folder) => break alone(&folder, runtime, order).await?,
            // A server that has just taken the folder opens its socket in a moment.
            Err(DataFolderError::InUse { .. }) if looks > 0 => {
                looks -= 1;
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    match answer {
        Answer::Refused { message } => Err(CliError::refused(message)),
        Answer::Failed { message } => Err(CliError::failed(message)),
        answer => Ok(answer),
    }
}

async fn alone(folder: &DataFolder, runtime: &Runtime, order: Order) -> CliResult<Answer> {
    let metadata = hosting::open_metadata(folder).await?;
    let answer = carry_out(metadata.as_ref(), runtime, order).await;
    metadata.close().await;
    Ok(answer)
}

/// Takes orders until `stop`.
pub(crate) async fn serve(
    socket: ControlServer,
    metadata: Arc<SqliteMetadata>,
    server: Server,
    runtime: &Runtime,
    stop: CancellationToken,
) {
    let converse = |stream| {
        let (metadata, server, runtime) = (Arc::clone(&metadata), server.clone(), runtime.clone());
        let conversation: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
            let answered =
                tokio::time::timeout(PATIENCE, converse(stream, metadata.as_ref(), &server, &runtime));
            answered.await.unwrap_or(Ok(()))
        });
        conversation
    };
    socket.serve_each(stop, converse).await;
}

async fn converse(
    mut stream: UnixStream,
    metadata: &dyn MetadataStore,
    server: &Server,
    runtime: &Runtime,
) -> Result<(), ControlError> {
    let path = Path::new("the administrator's socket");
    let Some(order) = message::receive(&mut stream, path, MESSAGE_BYTES).await? else {
        return Ok(());
    };
    let letter = letter_of(&order);
    let answer = carry_out(metadata, runtime, order).await;
    let answer = mailed(server, letter, answer).await;
    // Sessions that are remembered may be those of an account that was just locked.
    server.forget_sessions();
    message::send(&mut stream, path, REPLY_BYTES, &answer).await
}

/// To whom the link of an order goes, and for how many days an invitation is good.
fn letter_of(order: &Order) -> Option<(String, Option<u32>)> {
    match order {
        Order::Invite {
            email: Some(email),
            days,
            ..
        } => Some((email.clone(), Some(*days))),
        Order::ResetLink { email } => Some((email.clone(), None)),
        _ => None,
    }
}

/// Mails a link that was made, where mail is configured; else the operator gets it.
async fn mailed(server: &Server, letter: Option<(String, Option<u32>)>, answer: Answer) -> Answer {
    let (Some((email, days)), Answer::Link { path, .. }) = (letter, &answer) else {
        return answer;
    };
    let path = path.clone();
    let letter = match days {
        Some(days) => Letter::Invitation {
            path: path.clone(),
            days,
        },
        None => Letter::Reset { path: path.clone() },
    };
    match server.send(&email, &letter).await {
        Ok(true) => Answer::Mailed,
        Ok(false) => answer,
        Err(error) => Answer::Link {
            path,
            not_mailed: Some(error.to_string()),
        },
    }
}

async fn carry_out(metadata: &dyn MetadataStore, runtime: &Runtime, order: Order) -> Answer {
    let (event, email) = audit::event_of(&order);
    let done = try_order(metadata, runtime, order).await;
    if let (Some(event), Ok(_)) = (event, &done) {
        record_order(metadata, runtime, event, email.as_deref()).await;
    }
    match done {
        Ok(answer) => answer,
        Err(error) => {
            let message = CliError::from(error);
            let text = message.to_string();
            if message.exit == Exit::Refused {
                Answer::Refused { message: text }
            } else {
                Answer::Failed { message: text }
            }
        }
    }
}

async fn try_order(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    order: Order,
) -> Result<Answer, ServiceError> {
    match order {
        Order::AddUser {
            email,
            password,
            is_admin,
            quota_bytes,
        } => {
            let new = NewAccount {
                email,
                password,
                is_admin,
                quota_bytes,
            };
            accounts::create_account(metadata, runtime, new).await?;
        }
        Order::ListUsers => {
            let mut users = Vec::new();
            for account in accounts::list_accounts(metadata).await? {
                users.push(user(metadata, account).await?);
            }
            return Ok(Answer::Users { users });
        }
        Order::SetDisabled { email, is_disabled } => {
            accounts::set_disabled(metadata, &email, is_disabled).await?
        }
        Order::SetQuota { email, quota_bytes } => accounts::set_quota(metadata, &email, quota_bytes).await?,
        Order::SetPassword { email, password } => {
            accounts::set_password(metadata, runtime, &email, password).await?;
        }
        Order::Invite {
            email,
            quota_bytes,
            days,
        } => {
            let new = NewInvitation {
                email,
                quota_bytes,
                lifetime: Duration::from_secs(u64::from(days) * 86_400),
            };
            let path = invited::invite(metadata, runtime, new).await?;
            return Ok(Answer::Link {
                path,
                not_mailed: None,
            });
        }
        Order::ExportAudit { after } => return audit::read(metadata, &after).await,
        Order::ResetLink { email } => {
            let path = invited::reset_link(metadata, runtime, &email).await?;
            return Ok(Answer::Link {
                path,
                not_mailed: None,
            });
        }
        Order::RemoveSecondFactor { email } => second::remove_second_factor(metadata, &email).await?,
        Order::Access { access } => return access::carry_out(metadata, runtime, access).await,
    }
    Ok(Answer::Done)
}

async fn user(metadata: &dyn MetadataStore, account: Account) -> Result<User, ServiceError> {
    let head = metadata.head(account.root).await?;
    Ok(User {
        id: account.id.to_string(),
        email: account.email.as_str().to_owned(),
        is_admin: account.is_admin,
        is_disabled: account.is_disabled,
        bytes_used: head.map_or(0, |head| head.bytes_used),
        quota_bytes: account.quota_bytes,
        created_at_ms: account.created_at.as_millis(),
    })
}

impl From<ServiceError> for CliError {
    fn from(error: ServiceError) -> Self {
        use cairn_metadata::MetadataError;
        match error {
            ServiceError::BadRequest(_)
            | ServiceError::NotFound(_)
            | ServiceError::Metadata(MetadataError::EmailTaken) => Self::refused(error.to_string()),
            _ => Self::failed(error.to_string()).because(error),
        }
    }
}
