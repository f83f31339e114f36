//! The document that the server gives of its routes, and the page that shows it.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use cairn_api::sync::{MakeToken, MakeTokenReply, path};
use serde_json::Value;

use crate::contract::contract;
use crate::support::World;

fn routes(document: &Value) -> impl Iterator<Item = (Method, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| {
            let method = method.to_ascii_uppercase().parse().unwrap();
            (method, path.as_str(), operation)
        })
    })
}

#[tokio::test]
async fn every_route_that_is_described_is_served_as_described() {
    let world = World::new();
    let document = &contract(&world.router).await.document;
    let mut count = 0;
    for (method, path, operation) in routes(document) {
        let request = Request::builder().method(method.clone()).uri(path);
        let raw = world.send(request.body(Body::empty()).unwrap()).await;
        let needs_token = !operation["security"].as_array().unwrap().is_empty();
        match needs_token {
            // A route that does not exist would be 400 before anybody asks for a token.
            true => assert_eq!(raw.status, StatusCode::UNAUTHORIZED, "{method} {path}"),
            false => assert!(!raw.body.starts_with(b"Unknown API function"), "{method} {path}"),
        }
        count += 1;
    }
    assert!(count > 40, "{count}");
}

#[tokio::test]
async fn a_token_without_the_scope_that_is_described_is_refused() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    // No route asks for this one.
    let token = MakeToken {
        name: "script".to_owned(),
        scopes: "contacts.read".to_owned(),
        days: None,
    };
    let none = device
        .post(path::TOKENS, &token)
        .await
        .ok::<MakeTokenReply>()
        .token;
    let document = &contract(&world.router).await.document;
    for (method, path, operation) in routes(document) {
        let Some(scope) = operation["security"][0]["token"][0].as_str() else {
            continue;
        };
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header("authorization", format!("Bearer {none}"));
        let raw = world.send(request.body(Body::empty()).unwrap()).await;
        let error: Value = serde_json::from_slice(&raw.body).unwrap();
        assert_eq!(error["error"]["required_scope"], scope, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_named_is_there_and_what_is_there_is_named() {
    let world = World::new();
    let document = &contract(&world.router).await.document;
    let text = document.to_string();
    let named: Vec<&str> = text
        .split("#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in &named {
        assert!(schemas.contains_key(*name), "{name} is not described");
    }
    for name in schemas.keys() {
        assert!(named.contains(&name.as_str()), "{name} is nobody's");
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        assert!(name.bytes().all(is_plain), "{name} cannot stand in an address");
    }
    let mut ids: Vec<&Value> = routes(document)
        .map(|(_, _, operation)| &operation["operationId"])
        .collect();
    let count = ids.len();
    ids.sort_by_key(|id| id.as_str());
    ids.dedup();
    assert_eq!(ids.len(), count, "each has a name of its own");
}

#[tokio::test]
async fn the_manual_lists_what_the_document_describes() {
    let manual = include_str!("../../../../../docs/api.md");
    let world = World::new();
    let document = &contract(&world.router).await.document;
    for (_, path, _) in routes(document) {
        let route = path.trim_start_matches("/2/");
        let last = route.rsplit('/').next().unwrap();
        let is_named = [route, last, "check", "check_v2"]
            .iter()
            .any(|name| manual.contains(&format!("`{name}`")) || manual.contains(&format!("`/{name}`")));
        assert!(is_named, "docs/api.md does not list {route}");
    }
}

#[tokio::test]
async fn the_page_shows_every_route_and_runs_nothing() {
    let world = World::new();
    let request = Request::get("/docs/api").body(Body::empty()).unwrap();
    let raw = world.send(request).await;
    assert_eq!(raw.status, StatusCode::OK);
    let policy = raw.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = String::from_utf8(raw.body.to_vec()).unwrap();
    assert!(
        !page.contains("<script") && !page.contains("http"),
        "it needs nothing from elsewhere"
    );
    let document = &contract(&world.router).await.document;
    for (_, path, _) in routes(document) {
        assert!(page.contains(&format!("<h3 id=\"{path}\">")), "{path}");
    }
    for link in page
        .split("href=\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(page.contains(&format!("id=\"{link}\"")), "{link} leads nowhere");
    }
}
