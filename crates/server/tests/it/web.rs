//! The page for who opens the server's address.

use axum::body::Body;

use crate::browser::text;
use crate::support::{World, request};

#[tokio::test]
async fn the_page_at_the_root_loads_nothing_and_runs_nothing() {
    let raw = World::new().send(request("GET", "/", None, Body::empty())).await;
    let header = |name: &str| raw.headers[name].to_str().unwrap();
    assert_eq!(
        (raw.status.as_u16(), header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    let mut policy: Vec<&str> = header("content-security-policy").split("; ").collect();
    policy.sort_unstable();
    assert_eq!(
        policy,
        [
            "base-uri 'none'",
            "default-src 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "style-src 'unsafe-inline'",
        ]
    );
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "no-referrer");
    // Nor would the page need more than the policy lets it have.
    let page = text(&raw).to_lowercase();
    for part in [
        "<script",
        "javascript:",
        "src=",
        "<link",
        "@import",
        "url(",
        "<iframe",
        "<form",
        "<base",
    ] {
        assert!(!page.contains(part), "{part}");
    }
    for tag in page.split('<').filter_map(|rest| rest.split('>').next()) {
        let runs = |attribute: &str| attribute.starts_with("on") && attribute.contains('=');
        assert!(!tag.split_whitespace().any(runs), "{tag}");
    }
}
