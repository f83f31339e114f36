//! `/docs/api`: what [`super::openapi`] describes, as one page for people. No scripts, nothing from elsewhere.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::openapi;
use crate::html::escaped;

/// Where the page stands.
pub(crate) const ROUTE: &str = "/docs/api";

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const STYLE: &str = ":root { color-scheme: light dark; font: 1rem/1.6 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1.5rem; }
h2 { margin-top: 3rem; }
h3 { margin: 2.5rem 0 0; overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: .6rem .8rem; border: 1px solid; border-radius: .4rem; }
nav { columns: 20rem; }
nav a { display: block; overflow-wrap: anywhere; }";

static PAGE: LazyLock<String> = LazyLock::new(|| html(&openapi::document()));

/// `GET /docs/api`
pub(crate) async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, PAGE.as_str()).into_response()
}

fn html(document: &Value) -> String {
    let mut contents = String::new();
    let mut body = String::new();
    for (path, item) in members(&document["paths"]) {
        // A download by GET is the same as by POST.
        let (method, operation) = match item.get("post") {
            Some(operation) => ("POST", operation),
            None => ("GET", &item["get"]),
        };
        let path = escaped(path);
        // Writing to a string cannot fail.
        let _ = writeln!(contents, "<a href=\"#{path}\">{path}</a>");
        let _ = writeln!(body, "<h3 id=\"{path}\">{method} {path}</h3>");
        describe(&mut body, operation);
    }
    let mut types = String::new();
    for (name, schema) in members(&document["components"]["schemas"]) {
        let name = escaped(name);
        let _ = writeln!(types, "<h3 id=\"{name}\">{name}</h3>");
        block(&mut types, schema);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>The public API - Cairn</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<main>\n\
         <h1>The public API</h1>\n\
         <p>Programs that were written for Dropbox's API v2 speak it. The same for programs: \
         <a href=\"/2/cairn/openapi.json\">openapi.json</a>.</p>\n\
         <nav>\n{contents}</nav>\n<h2>Routes</h2>\n{body}<h2>Types</h2>\n{types}</main>\n</body>\n</html>\n"
    )
}

fn describe(out: &mut String, operation: &Value) {
    let text = |value: &Value| escaped(value.as_str().unwrap_or_default());
    let scope = &operation["security"][0]["token"][0];
    let access = match scope.as_str() {
        Some(_) => format!("needs <code>{}</code>", text(scope)),
        None if !operation["security"][0].is_null() => "needs a token".to_owned(),
        None => "needs no token".to_owned(),
    };
    let style = text(&operation["x-cairn-style"]);
    let _ = writeln!(
        out,
        "<p>{} <small>({style}, {access})</small></p>",
        text(&operation["summary"])
    );
    let json = "application/json";
    let argument = match operation.get("parameters") {
        Some(parameters) => &parameters[0]["content"][json]["schema"],
        None => &operation["requestBody"]["content"][json]["schema"],
    };
    let found = &operation["responses"]["200"];
    let result = match found["headers"].get("Dropbox-API-Result") {
        Some(header) => &header["content"][json]["schema"],
        None => &found["content"][json]["schema"],
    };
    let refusal = &operation["responses"]["409"]["content"][json]["schema"]["properties"]["error"];
    for (name, schema) in [("Argument", argument), ("Result", result), ("Error", refusal)] {
        if !schema.is_null() {
            let _ = writeln!(out, "<p>{name}</p>");
            block(out, schema);
        }
    }
}

/// A schema; the types that it names lead to where they stand.
fn block(out: &mut String, schema: &Value) {
    let text = serde_json::to_string_pretty(schema).unwrap_or_default();
    let text = escaped(&text);
    let mut parts = text.split("#/components/schemas/");
    out.push_str("<pre>");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once("&quot;").unwrap_or((part, ""));
        let _ = write!(out, "<a href=\"#{name}\">{name}</a>&quot;{rest}");
    }
    out.push_str("</pre>\n");
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}
