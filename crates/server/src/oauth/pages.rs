//! The pages: forms without scripts.

use axum::http::StatusCode;
use axum::response::Response;
use cairn_metadata::{Account, Scope};

use super::wish::Asked;
use crate::html::{escaped, page};
use crate::service::accounts::apps::redirect_origin;
use crate::sign_in::Door;

const fn words(scope: Scope) -> &'static str {
    match scope {
        Scope::Sync => "act as a device that syncs",
        Scope::AccountInfoRead => "see your name and e-mail address",
        Scope::AccountInfoWrite => "change your profile",
        Scope::FilesMetadataRead => "see names, sizes and versions of your files",
        Scope::FilesMetadataWrite => "change tags and properties of your files",
        Scope::FilesContentRead => "read your files",
        Scope::FilesContentWrite => "write, move and delete your files",
        Scope::SharingRead => "see what you share",
        Scope::SharingWrite => "share your files",
        Scope::FileRequestsRead => "see your file requests",
        Scope::FileRequestsWrite => "make and change file requests",
        Scope::ContactsRead => "see your contacts",
        Scope::ContactsWrite => "change your contacts",
    }
}

/// Asks whether the app may.
pub(super) fn consent(asked: &Asked, account: &Account, door: &Door, form_token: &str) -> Response {
    let wish = &asked.wish;
    let name = escaped(&wish.client.name());
    let wanted = Scope::ALL
        .into_iter()
        .filter(|(scope, _)| wish.scopes.has(*scope));
    let list: String = wanted
        .map(|(scope, _)| format!("<li>{}</li>\n", words(scope)))
        .collect();
    let unknown = if wish.client.is_registered() {
        String::new()
    } else {
        format!(
            "<p class=\"note\">This server cannot check that it is {name}: any program on your computer may say so. \
             Go on only if you have just started this yourself.</p>\n"
        )
    };
    let within = match wish.client.folder() {
        None => String::new(),
        Some(folder) => format!(", in the folder Apps/{} alone", escaped(folder)),
    };
    let how_long = if wish.is_offline {
        "until you unlink it"
    } else {
        "for four hours"
    };
    let body = format!(
        "<p>You are signed in as {}.</p>\n<p>{name} may then, {how_long}{within}:</p>\n<ul>\n{list}</ul>\n{unknown}{}\
         <button name=\"action\" value=\"allow\">Allow</button>\n\
         <button name=\"action\" value=\"deny\">Deny</button>\n\
         <button name=\"action\" value=\"sign-out\">Use another account</button>\n</form>\n",
        escaped(account.email.as_str()),
        door.form(form_token)
    );
    let origin = wish.redirect_uri.as_deref().and_then(redirect_origin);
    page(
        StatusCode::OK,
        &format!("Allow {}?", wish.client.name()),
        &body,
        origin.as_deref(),
    )
}

/// Shows a code to be copied.
pub(super) fn code(asked: &Asked, code: &str) -> Response {
    let body = format!(
        "<p>Copy this code into {}. It can be used once, within ten minutes.</p>\n<code id=\"auth-code\">{}</code>\n",
        escaped(&asked.wish.client.name()),
        escaped(code)
    );
    page(StatusCode::OK, "One more step", &body, None)
}
