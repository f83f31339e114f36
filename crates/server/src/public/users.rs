//! `/2/users`: whose account it is, and how much it holds.

use cairn_metadata::Account;
use serde::Deserialize;
use serde_json::{Value, json};

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

/// `users/get_current_account`
pub(super) async fn current_account(call: Call, (): ()) -> ApiResult<Value> {
    let mut value = basic(&call.account);
    let root = call.root_id();
    let more = json!({
        "locale": "en",
        "referral_link": "",
        "is_paired": false,
        "account_type": tag("pro"),
        "root_info": { ".tag": "user", "root_namespace_id": root, "home_namespace_id": root },
    });
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.remove("is_teammate");
        value.extend(more);
    }
    Ok(value)
}

#[derive(Deserialize)]
pub(super) struct GetAccount {
    account_id: String,
}

/// `users/get_account`: one's own; others are known where something is shared with them.
pub(super) async fn account(call: Call, argument: GetAccount) -> ApiResult<Value> {
    match argument.account_id == dropbox_id(call.account.id) {
        true => Ok(basic(&call.account)),
        false => Err(ApiError::Route(tag("no_account"))),
    }
}

#[derive(Deserialize)]
pub(super) struct GetAccounts {
    account_ids: Vec<String>,
}

/// `users/get_account_batch`
pub(super) async fn accounts(call: Call, argument: GetAccounts) -> ApiResult<Value> {
    let own = dropbox_id(call.account.id);
    if let Some(unknown) = argument.account_ids.iter().find(|id| **id != own) {
        return Err(ApiError::Route(
            json!({ ".tag": "no_account", "no_account": unknown }),
        ));
    }
    let all: Vec<Value> = argument
        .account_ids
        .iter()
        .map(|_| basic(&call.account))
        .collect();
    Ok(all.into())
}

/// `users/get_space_usage`
pub(super) async fn space_usage(call: Call, (): ()) -> ApiResult<Value> {
    let head = browse::head(&call.state, call.namespace()).await?;
    let allocated = call.account.quota_bytes.unwrap_or(UNBOUNDED).max(1);
    Ok(json!({
        "used": head.bytes_used,
        "allocation": { ".tag": "individual", "allocated": allocated },
    }))
}

#[derive(Deserialize)]
pub(super) struct Echo {
    #[serde(default)]
    query: String,
}

/// `check/user`: gives back what it is asked.
pub(super) async fn check_user(_: Call, argument: Option<Echo>) -> ApiResult<Value> {
    let query = argument.map(|echo| echo.query).unwrap_or_default();
    Ok(json!({ "result": query }))
}

fn basic(account: &Account) -> Value {
    let name = display_name(account);
    json!({
        "account_id": dropbox_id(account.id),
        "name": {
            "given_name": name,
            "surname": "",
            "familiar_name": name,
            "display_name": name,
            "abbreviated_name": name.chars().next().map(String::from).unwrap_or_default(),
        },
        "email": account.email.as_str(),
        "email_verified": true,
        "disabled": account.is_disabled,
        "is_teammate": true,
    })
}
