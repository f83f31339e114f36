//! `/2/users`: whose account it is, and how much it holds.

use cairn_metadata::Account;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::call::Call;
use super::error::{ApiError, ApiResult};
use super::stone::tag;
use crate::service::accounts::dropbox_id;
use crate::service::browse;

/// What an account without a bound is said to be allowed: 1 PiB, which every client's numbers hold.
const UNBOUNDED: u64 = 1 << 50;

/// What an account is called until it has a name of its own.
pub(crate) fn display_name(account: &Account) -> String {
    let email = account.email.as_str();
    let (name, _) = email.split_once('@').unwrap_or((email, ""));
    name.to_owned()
}

/// What others see of an account.
#[derive(Serialize, JsonSchema)]
pub(super) struct BasicAccount {
    #[serde(flatten)]
    account: Known,
    is_teammate: bool,
}

/// One's own account.
#[derive(Serialize, JsonSchema)]
pub(super) struct FullAccount {
    #[serde(flatten)]
    account: Known,
    locale: &'static str,
    referral_link: &'static str,
    is_paired: bool,
    account_type: AccountType,
    root_info: RootInfo,
}

#[derive(Serialize, JsonSchema)]
struct Known {
    account_id: String,
    name: Name,
    email: String,
    email_verified: bool,
    disabled: bool,
}

#[derive(Serialize, JsonSchema)]
struct Name {
    given_name: String,
    surname: String,
    familiar_name: String,
    display_name: String,
    abbreviated_name: String,
}

/// Which plan it has: one with all that there is.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
enum AccountType {
    Pro,
}

/// The namespaces that its paths begin in.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
enum RootInfo {
    User {
        root_namespace_id: String,
        home_namespace_id: String,
    },
}

/// How much an account holds.
#[derive(Serialize, JsonSchema)]
pub(super) struct SpaceUsage {
    /// Bytes.
    used: u64,
    allocation: Allocation,
}

/// How much it may hold.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
enum Allocation {
    Individual { allocated: u64 },
}

/// What was asked.
#[derive(Serialize, JsonSchema)]
pub(super) struct Echoed {
    result: String,
}

/// `users/get_current_account`
pub(super) async fn current_account(call: Call, (): ()) -> ApiResult<FullAccount> {
    let root = call.root_id();
    Ok(FullAccount {
        account: known(&call.account),
        locale: "en",
        referral_link: "",
        is_paired: false,
        account_type: AccountType::Pro,
        root_info: RootInfo::User {
            root_namespace_id: root.clone(),
            home_namespace_id: root,
        },
    })
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct GetAccount {
    account_id: String,
}

/// `users/get_account`: one's own; others are known where something is shared with them.
pub(super) async fn account(call: Call, argument: GetAccount) -> ApiResult<BasicAccount> {
    match argument.account_id == dropbox_id(call.account.id) {
        true => Ok(basic(&call.account)),
        false => Err(ApiError::Route(tag("no_account"))),
    }
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct GetAccounts {
    account_ids: Vec<String>,
}

/// `users/get_account_batch`
pub(super) async fn accounts(call: Call, argument: GetAccounts) -> ApiResult<Vec<BasicAccount>> {
    let own = dropbox_id(call.account.id);
    if let Some(unknown) = argument.account_ids.iter().find(|id| **id != own) {
        return Err(ApiError::Route(
            json!({ ".tag": "no_account", "no_account": unknown }),
        ));
    }
    let ids = argument.account_ids.iter();
    Ok(ids.map(|_| basic(&call.account)).collect())
}

/// `users/get_space_usage`
pub(super) async fn space_usage(call: Call, (): ()) -> ApiResult<SpaceUsage> {
    let head = browse::head(&call.state, call.namespace()).await?;
    let allocated = call.account.quota_bytes.unwrap_or(UNBOUNDED).max(1);
    Ok(SpaceUsage {
        used: head.bytes_used,
        allocation: Allocation::Individual { allocated },
    })
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Echo {
    #[serde(default)]
    query: String,
}

/// `check/user`: gives back what it is asked.
pub(super) async fn check_user(_: Call, argument: Option<Echo>) -> ApiResult<Echoed> {
    let result = argument.map(|echo| echo.query).unwrap_or_default();
    Ok(Echoed { result })
}

fn basic(account: &Account) -> BasicAccount {
    BasicAccount {
        account: known(account),
        is_teammate: true,
    }
}

fn known(account: &Account) -> Known {
    let name = display_name(account);
    Known {
        account_id: dropbox_id(account.id),
        name: Name {
            given_name: name.clone(),
            surname: String::new(),
            familiar_name: name.clone(),
            abbreviated_name: name.chars().next().map(String::from).unwrap_or_default(),
            display_name: name,
        },
        email: account.email.as_str().to_owned(),
        email_verified: true,
        disabled: account.is_disabled,
    }
}
