//! `/2`, the public API: what clients of Dropbox read and rely on.

mod activity;
mod apps;
mod atomic;
mod batches;
mod changes;
mod delta;
mod document;
mod ends;
mod files;
mod links;
mod media;
mod past;
mod pressure;
mod protocol;
mod search;
mod sessions;
mod tags;
mod texts;
mod tree_hash;
mod zip;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::contract::contract;
use crate::support::{Device, Raw, World};

/// An app that speaks for an account.
pub(crate) struct App<'w> {
    pub(crate) world: &'w World,
    pub(crate) token: String,
}

impl<'w> App<'w> {
    pub(crate) fn of(world: &'w World, device: &Device<'_>) -> Self {
        Self {
            world,
            token: device.token.clone(),
        }
    }

    /// A call whose argument is the body.
    pub(crate) async fn raw(&self, route: &str, argument: Value) -> Raw {
        let request = Request::post(format!("/2/{route}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        let request = request.body(Body::from(argument.to_string())).unwrap();
        let raw = self.world.send(request).await;
        self.hold_argument(route, &argument, &raw).await;
        raw
    }

    /// Such a call that must succeed.
    pub(crate) async fn rpc(&self, route: &str, argument: Value) -> Value {
        let raw = self.raw(route, argument).await;
        value(&raw)
    }

    /// Such a call that must be refused; its summary and error.
    pub(crate) async fn refused(&self, route: &str, argument: Value) -> (String, Value) {
        refusal(&self.raw(route, argument).await)
    }

    /// A call with bytes.
    pub(crate) async fn upload_raw(&self, route: &str, argument: Value, bytes: impl Into<Body>) -> Raw {
        let request = Request::post(format!("/2/{route}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("dropbox-api-arg", argument.to_string())
            .header("content-type", "application/octet-stream");
        let raw = self.world.send(request.body(bytes.into()).unwrap()).await;
        self.hold_argument(route, &argument, &raw).await;
        raw
    }

    /// What was taken is written down as what may be sent.
    async fn hold_argument(&self, route: &str, argument: &Value, raw: &Raw) {
        if raw.status == StatusCode::OK {
            let contract = contract(&self.world.router).await;
            contract.hold_argument(&format!("/2/{route}"), argument);
        }
    }

    /// Puts a file; its metadata.
    pub(crate) async fn put(&self, path: &str, bytes: &[u8]) -> Value {
        let argument = json!({ "path": path, "mode": "overwrite" });
        value(&self.upload_raw("files/upload", argument, bytes.to_vec()).await)
    }

    /// Gets bytes, with further headers.
    pub(crate) async fn download(&self, path: &str, headers: &[(&str, &str)]) -> Raw {
        let mut request = Request::post("/2/files/download")
            .header("authorization", format!("Bearer {}", self.token))
            .header("dropbox-api-arg", json!({ "path": path }).to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.world.send(request.body(Body::empty()).unwrap()).await
    }

    /// Every path below the root, with a slash behind folders.
    pub(crate) async fn tree(&self) -> Vec<String> {
        let mut page = self
            .rpc(
                "files/list_folder",
                json!({ "path": "", "recursive": true, "limit": 3 }),
            )
            .await;
        let mut paths = Vec::new();
        loop {
            paths.extend(page["entries"].as_array().unwrap().iter().map(label));
            if page["has_more"] == json!(false) {
                paths.sort();
                return paths;
            }
            page = self
                .rpc("files/list_folder/continue", json!({ "cursor": page["cursor"] }))
                .await;
        }
    }
}

/// An entry in short: `/folder/`, `/file`, `-/deleted`.
pub(crate) fn label(entry: &Value) -> String {
    let path = entry["path_display"].as_str().unwrap();
    match entry[".tag"].as_str().unwrap() {
        "folder" => format!("{path}/"),
        "deleted" => format!("-{path}"),
        _ => path.to_owned(),
    }
}

/// The value of an answer that must be one.
pub(crate) fn value(raw: &Raw) -> Value {
    assert_eq!(raw.status, StatusCode::OK, "{raw:?}");
    assert_eq!(raw.headers["content-type"], "application/json");
    serde_json::from_slice(&raw.body).unwrap()
}

/// Summary and error of an answer that must be a route's error.
pub(crate) fn refusal(raw: &Raw) -> (String, Value) {
    assert_eq!(raw.status, StatusCode::CONFLICT, "{raw:?}");
    assert_eq!(raw.headers["content-type"], "application/json");
    let body: Value = serde_json::from_slice(&raw.body).unwrap();
    (
        body["error_summary"].as_str().unwrap().to_owned(),
        body["error"].clone(),
    )
}
