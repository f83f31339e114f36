//! Holds every answer of `/2` that a test sees to the document that the server gives of itself, and every argument that it
//! has taken.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tower::ServiceExt;

use crate::support::Raw;

const DOCUMENT: &str = "/2/cairn/openapi.json";
const JSON: &str = "application/json";

/// The document, and what was made of it.
pub(crate) struct Contract {
    pub(crate) document: Value,
    /// With answers that hold nothing that is not written down.
    strict: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The document of the server that is tested; all have the same.
pub(crate) async fn contract(router: &Router) -> &'static Contract {
    static CONTRACT: OnceCell<Contract> = OnceCell::const_new();
    CONTRACT
        .get_or_init(|| async {
            let request = Request::get(DOCUMENT).body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let bytes = answer.into_body().collect().await.unwrap().to_bytes();
            Contract::new(serde_json::from_slice(&bytes).unwrap())
        })
        .await
}

impl Contract {
    fn new(document: Value) -> Self {
        let mut strict = document.clone();
        for part in ["/components/schemas", "/components/responses", "/paths"] {
            close(strict.pointer_mut(part).unwrap());
        }
        Self {
            document,
            strict,
            validators: Mutex::default(),
        }
    }

    /// Checks an answer.
    #[track_caller]
    pub(crate) fn hold(&self, method: &Method, path: &str, raw: &Raw) {
        let Some(operation) = operation(&self.strict, method, path) else {
            let is_none = [StatusCode::BAD_REQUEST, StatusCode::NO_CONTENT].contains(&raw.status);
            assert!(is_none, "{method} {path} is not documented: {raw:?}");
            return;
        };
        let status = raw.status.as_str();
        let response = &operation["responses"][status];
        let response = match response["$ref"].as_str() {
            Some(place) => self.strict.pointer(&place[1..]).unwrap(),
            None => response,
        };
        assert!(!response.is_null(), "{path}: {status} is not documented: {raw:?}");
        let key = format!("{method} {path} {status}");
        if let Some(header) = response["headers"].get("Dropbox-API-Result") {
            let value = serde_json::from_slice(raw.headers["dropbox-api-result"].as_bytes()).unwrap();
            self.check(&key, &self.strict, &header["content"][JSON]["schema"], &value);
        }
        let Some(content) = response.get("content") else {
            return;
        };
        let kind = raw.headers["content-type"].to_str().unwrap();
        let kind = kind.split(';').next().unwrap_or_default();
        let schema = &content[kind]["schema"];
        assert!(content.get(kind).is_some(), "{path}: {kind} is not documented");
        if kind == JSON && !schema.is_null() {
            let value = serde_json::from_slice(&raw.body).unwrap();
            self.check(&key, &self.strict, schema, &value);
        }
    }

    /// Checks an argument that was taken.
    #[track_caller]
    pub(crate) fn hold_argument(&self, path: &str, argument: &Value) {
        let operation = operation(&self.document, &Method::POST, path).unwrap();
        let content = match operation.get("parameters") {
            Some(parameters) => &parameters[0]["content"],
            None => &operation["requestBody"]["content"],
        };
        self.check(path, &self.document, &content[JSON]["schema"], argument);
    }

    #[track_caller]
    fn check(&self, key: &str, document: &Value, schema: &Value, value: &Value) {
        let mut known = self.validators.lock().unwrap();
        let validator = known.entry(key.to_owned()).or_insert_with(|| {
            let whole = json!({ "allOf": [schema], "components": document["components"] });
            Arc::new(jsonschema::draft202012::new(&whole).unwrap())
        });
        let validator = Arc::clone(validator);
        drop(known);
        if let Err(error) = validator.validate(value) {
            panic!("{key}: {error}\n{value:#}");
        }
    }
}

fn operation<'d>(document: &'d Value, method: &Method, path: &str) -> Option<&'d Value> {
    document["paths"]
        .get(path)?
        .get(method.as_str().to_ascii_lowercase())
}

/// Lets no value below have members that are not written down.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(close),
        Value::Object(members) => {
            for (key, value) in members {
                match key.as_str() {
                    "properties" => value.as_object_mut().unwrap().values_mut().for_each(close_one),
                    "items" | "schema" => close_one(value),
                    _ => close(value),
                }
            }
        }
        _ => {}
    }
}

fn close_one(schema: &mut Value) {
    close(schema);
    if let Some(members) = schema.as_object_mut() {
        members.insert("unevaluatedProperties".into(), false.into());
    }
}
