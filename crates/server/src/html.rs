//! Pages for people: no scripts, nothing from elsewhere.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

const STYLE: &str = ":root { color-scheme: light dark; font: 1rem/1.6 system-ui, sans-serif; }
body { max-width: 26rem; margin: 10vh auto; padding: 0 1.5rem; }
h1 { font-size: 1.4rem; }
label { display: block; margin: .8rem 0; }
input:not([type=checkbox]) { display: block; width: 100%; box-sizing: border-box; font: inherit; padding: .4rem .5rem; }
button { font: inherit; padding: .4rem 1.2rem; margin: .6rem .6rem .6rem 0; }
.note { border-left: .25rem solid; padding-left: .8rem; }
#auth-code { display: block; padding: .8rem; overflow-wrap: anywhere; user-select: all; border: 1px solid; border-radius: .4rem; }";

/// Makes text safe between tags and in quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
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
pub(crate) fn page(status: StatusCode, title: &str, body: &str, origin: Option<&str>) -> Response {
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
        // The address holds what an app asked with, or a secret; other sites learn nothing of it.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    let mut response = (status, headers, html).into_response();
    let policy = HeaderValue::from_str(policy.trim_end());
    let policy = policy.unwrap_or(HeaderValue::from_static("default-src 'none'"));
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Says something and nothing else.
pub(crate) fn message(status: StatusCode, title: &str, what: &str) -> Response {
    page(status, title, &format!("<p>{}</p>\n", escaped(what)), None)
}

/// A remark above a form; none when it is empty.
pub(crate) fn noted(note: &str) -> String {
    if note.is_empty() {
        String::new()
    } else {
        format!("<p class=\"note\" role=\"alert\">{}</p>\n", escaped(note))
    }
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
