//! The pages: forms without scripts.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cairn_metadata::{Account, Scope};

use super::AUTHORIZE;
use super::wish::Asked;
use crate::service::accounts::apps::redirect_origin;

const STYLE: &str = ":root { color-scheme: light dark; font: 1rem/1.6 system-ui, sans-serif; }
body { max-width: 26rem; margin: 10vh auto; padding: 0 1.5rem; }
h1 { font-size: 1.4rem; }
label { display: block; margin: .8rem 0; }
input { display: block; width: 100%; box-sizing: border-box; font: inherit; padding: .4rem .5rem; }
button { font: inherit; padding: .4rem 1.2rem; margin: .6rem .6rem .6rem 0; }
.note { border-left: .25rem solid; padding-left: .8rem; }
#auth-code { display: block; padding: .8rem; overflow-wrap: anywhere; user-select: all; border: 1px solid; border-radius: .4rem; }";

/// Makes text safe between tags and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A whole page. Its forms may be sent here and, as browsers hold a form to where its answer leads, to `origin`.
fn page(status: StatusCode, title: &str, body: &str, origin: Option<&str>) -> Response {
    let title = escaped(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} - Cairn</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    );
    let origin = origin.unwrap_or("");
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; \
         form-action 'self' {origin}"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // The address holds what the app asked with; other sites learn nothing of it.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    let mut response = (status, headers, html).into_response();
    let policy = HeaderValue::from_str(&policy);
    let policy = policy.unwrap_or(HeaderValue::from_static("default-src 'none'"));
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// The start of a form that comes back with the same query.
fn form(query: &str, form_token: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{AUTHORIZE}?{}\">\n\
         <input type=\"hidden\" name=\"form_token\" value=\"{}\">\n",
        escaped(query),
        escaped(form_token)
    )
}

/// Asks who somebody is.
pub(super) fn sign_in(
    status: StatusCode,
    asked: &Asked,
    query: &str,
    form_token: &str,
    note: &str,
) -> Response {
    let note = noted(note);
    let body = format!(
        "<p>{} wants to use your files. Sign in to see what it asks for.</p>\n{note}{}\
         <label>E-mail address <input type=\"email\" name=\"email\" autocomplete=\"username\" required autofocus></label>\n\
         <label>Password <input type=\"password\" name=\"password\" autocomplete=\"current-password\" required></label>\n\
         <button name=\"action\" value=\"sign-in\">Sign in</button>\n</form>\n",
        escaped(&asked.wish.client.name()),
        form(query, form_token)
    );
    page(status, "Sign in", &body, None)
}

fn noted(note: &str) -> String {
    if note.is_empty() {
        String::new()
    } else {
        format!("<p class=\"note\" role=\"alert\">{}</p>\n", escaped(note))
    }
}

/// Asks for a code, after the password was right.
pub(super) fn code_of_authenticator(
    status: StatusCode,
    query: &str,
    form_token: &str,
    note: &str,
) -> Response {
    let body = format!(
        "{}{}<label>Code of your authenticator, or a recovery code \
         <input name=\"code\" autocomplete=\"one-time-code\" required autofocus></label>\n\
         <button name=\"action\" value=\"code\">Sign in</button>\n</form>\n",
        noted(note),
        form(query, form_token)
    );
    page(status, "One more step", &body, None)
}

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
pub(super) fn consent(asked: &Asked, account: &Account, query: &str, form_token: &str) -> Response {
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
        form(query, form_token)
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

/// Says something and nothing else.
pub(super) fn message(status: StatusCode, title: &str, what: &str) -> Response {
    page(status, title, &format!("<p>{}</p>\n", escaped(what)), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escaped("<a b=\"c\" d='e'>&"),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;"
        );
    }
}
