//! `cairn/openapi.json`: what [`super::table`] lists, as OpenAPI 3.1.

use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::call::UPLOAD_BYTES;
use super::routes::{Access, Route, Style};
use super::table;
use super::unions::{AuthError, PathRootError, RateLimitError, Refusal};

/// The name of the way in which a call proves whom it speaks for.
const TOKEN: &str = "token";

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// `GET /2/cairn/openapi.json`
pub(super) async fn answer() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::OK, kind, DOCUMENT.as_str()).into_response()
}

/// The whole document.
pub(super) fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for route in table::all() {
        paths.insert(route.address(), path_item(&route, &mut schemas));
    }
    let responses = common_responses(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Cairn",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The public API, which programs written for Dropbox's API v2 speak. Errors, paths and what differs \
                            from Dropbox: docs/api.md.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": responses,
            "securitySchemes": { TOKEN: {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of an app, a script (cairn token create) or a device. Each route names the scope it needs.",
            } },
        },
    })
}

fn path_item(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let operation = operation(route, schemas);
    match route.style {
        Style::Rpc | Style::Upload => json!({ "post": operation }),
        Style::Document => json!({ "get": operation }),
        Style::Download => {
            let mut by_get = operation.clone();
            by_get["operationId"] = format!("{}_by_get", name(route)).into();
            json!({ "post": operation, "get": by_get })
        }
    }
}

fn name(route: &Route) -> String {
    route.path.replace(['/', '.'], "_")
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": name(route),
        "summary": route.summary,
        "tags": [route.path.split('/').next()],
        "x-cairn-style": route.style.name(),
        "security": match route.access {
            Access::Token(scope) => json!([{ TOKEN: [scope.name()] }]),
            Access::AnyToken => json!([{ TOKEN: [] }]),
            Access::Cursor | Access::Anybody => json!([]),
        },
        "responses": responses(route, schemas),
    });
    let argument = (route.argument)(schemas);
    match route.style {
        Style::Document => {}
        Style::Rpc => {
            // No body at all stands for an argument that is null.
            let is_void = argument.get("type") == Some(&"null".into());
            operation["requestBody"] = json!({
                "required": !is_void,
                "content": { "application/json": { "schema": argument } },
            });
        }
        Style::Upload | Style::Download => {
            operation["parameters"] = parameters(route, &argument.into());
        }
    }
    if route.style == Style::Upload {
        operation["requestBody"] = json!({
            "required": true,
            "description": format!("At most {} MiB.", UPLOAD_BYTES >> 20),
            "content": { "application/octet-stream": {} },
        });
    }
    operation
}

fn parameters(route: &Route, argument: &Value) -> Value {
    let mut all = vec![json!({
        "name": "Dropbox-API-Arg",
        "in": "header",
        "required": true,
        "description": "ASCII, the rest as \\u escapes. It may stand in the address instead, as `arg`.",
        "content": { "application/json": { "schema": argument } },
    })];
    if route.has_parts {
        all.push(json!({
            "name": "Range",
            "in": "header",
            "description": "One range of bytes.",
            "schema": { "type": "string", "pattern": "^bytes=[0-9]+-[0-9]*$" },
        }));
    }
    all.into()
}

fn responses(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut all = Map::new();
    let mut put = |status: &str, response: Value| {
        all.insert(status.to_owned(), response);
    };
    let result = Value::from((route.result)(schemas));
    match route.style {
        Style::Rpc | Style::Upload | Style::Document => put("200", json_of("The result.", &result)),
        Style::Download => {
            put("200", bytes_of(route, "The bytes.", &result));
            if route.has_parts {
                put("206", bytes_of(route, "A part of the bytes.", &result));
                put("304", json!({ "description": "The caller has it already." }));
                put("416", json!({ "description": "There is no such part." }));
            }
        }
    }
    if let Some(error) = route.error {
        let error = Value::from(error(schemas));
        let refusal = json!({
            "type": "object",
            "properties": {
                "error_summary": { "type": "string", "description": "The tags of the error, one within the other." },
                "error": error,
            },
            "required": ["error_summary", "error"],
        });
        put("409", json_of("The route's own errors.", &refusal));
    }
    if route.style != Style::Document {
        for (status, name, _) in COMMON {
            put(
                status,
                json!({ "$ref": format!("#/components/responses/{name}") }),
            );
        }
    }
    Value::Object(all)
}

/// Answers that every call may get. Those without a shape are a text.
const COMMON: [(&str, &str, &str); 8] = [
    (
        "400",
        "BadInput",
        "The request makes no sense: a sentence for programmers.",
    ),
    ("401", "Unauthorized", "The token is not good for this."),
    ("408", "Timeout", "The body did not arrive in time."),
    ("422", "PathRoot", "Dropbox-API-Path-Root names another root."),
    (
        "429",
        "RateLimited",
        "Too many requests: again after Retry-After.",
    ),
    ("500", "Broken", "Something is broken on the server."),
    (
        "503",
        "Busy",
        "The server cannot answer now: again after Retry-After.",
    ),
    (
        "507",
        "Full",
        "The server has no space left, and the route no tag for it.",
    ),
];

fn common_responses(schemas: &mut SchemaGenerator) -> Value {
    let mut all = Map::new();
    for (_, name, description) in COMMON {
        let schema = match name {
            "Unauthorized" => Some(schemas.subschema_for::<Refusal<AuthError>>()),
            "PathRoot" => Some(schemas.subschema_for::<Refusal<PathRootError>>()),
            "RateLimited" => Some(schemas.subschema_for::<Refusal<RateLimitError>>()),
            _ => None,
        };
        let response = match schema {
            Some(schema) => json_of(description, &schema.into()),
            None => json!({
                "description": description,
                "content": { "text/plain": { "schema": { "type": "string" } } },
            }),
        };
        all.insert(name.to_owned(), response);
    }
    Value::Object(all)
}

fn json_of(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn bytes_of(route: &Route, description: &str, result: &Value) -> Value {
    let content: Map<String, Value> = route
        .media
        .iter()
        .map(|kind| ((*kind).to_owned(), json!({})))
        .collect();
    json!({
        "description": description,
        "headers": { "Dropbox-API-Result": {
            "required": true,
            "content": { "application/json": { "schema": result } },
        } },
        "content": content,
    })
}
