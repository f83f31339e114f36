//! Temporary links: addresses that give one file in one state to whoever has them, for four hours.
//!
//! A link holds all that it needs and is signed, so that any node of a cluster can answer.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::node::{Content, Node};
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;
use minicbor::{Decode, Encode};

use super::error::ApiResult;
use super::files;
use super::sealed::Seal;
use crate::error::ServiceError;
use crate::state::State;

/// Where links are answered.
pub(crate) const ROUTE: &str = "/t/{link}";
/// Hours that a link works, as Dropbox has it.
const HOURS: i64 = 4;
const VERSION: u8 = 1;
const SEAL: Seal = Seal {
    context: "cairn 2026 temporary link v1",
    most_chars: 256,
};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Wire {
    #[n(0)]
    version: u8,
    #[n(1)]
    namespace: i64,
    #[n(2)]
    node: i64,
    #[n(3)]
    content_seq: i64,
    #[n(4)]
    expires_at_ms: i64,
}

/// The path of a link to a file as it is now.
pub(super) async fn path_to(state: &State, namespace: NamespaceId, node: &Node) -> ApiResult<String> {
    let head = crate::service::browse::head(state, namespace).await?;
    let expires_at = state.runtime.clock.now().plus_millis(HOURS * 3_600_000);
    let wire = Wire {
        version: VERSION,
        namespace: namespace.get(),
        node: node.id.get(),
        content_seq: node.content_seq.get(),
        expires_at_ms: expires_at.as_millis(),
    };
    Ok(format!("/t/{}", SEAL.write(&wire, &head.incarnation)))
}

/// `GET /t/LINK`: the file, or a part of it. 404 for what is no link, 410 for one whose time is over.
pub(crate) async fn open(
    Shared(state): Shared<Arc<State>>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Response {
    match answer(&state, &link, &headers).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer(state: &Arc<State>, link: &str, headers: &HeaderMap) -> ApiResult<Response> {
    let unknown = || (StatusCode::NOT_FOUND, "There is no such link.\n").into_response();
    let over = || (StatusCode::GONE, "This link's time is over.\n").into_response();
    let Some(text) = SEAL.read::<Wire>(link) else {
        return Ok(unknown());
    };
    let wire = text.claim();
    let ids = (
        NamespaceId::new(wire.namespace),
        NodeId::new(wire.node),
        Seq::new(wire.content_seq),
    );
    let (Ok(namespace), Ok(node), Some(seq)) = ids else {
        return Ok(unknown());
    };
    let Some(head) = state.metadata.head(namespace).await? else {
        return Ok(unknown());
    };
    let proven = SEAL.prove(text, &head.incarnation);
    let Some(wire) = proven.filter(|wire| wire.version == VERSION) else {
        return Ok(unknown());
    };
    if Timestamp::from_millis(wire.expires_at_ms) <= state.runtime.clock.now() {
        return Ok(over());
    }
    let owner = state.metadata.account(head.owner).await?;
    if owner.is_none_or(|owner| owner.is_disabled) {
        return Ok(over());
    }
    let node = state.metadata.revision(namespace, node, seq).await?;
    let Some(Node {
        content: Content::File(file),
        place,
        ..
    }) = node
    else {
        return Ok(over());
    };
    let etag = format!("\"{}\"", file.file_id);
    let mut response = files::send(state, headers, file, &etag).await?;
    let values = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        // A browser keeps it, and never shows what somebody put there as a page of this server.
        (header::CONTENT_DISPOSITION, attachment(place.name.as_str())),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'".to_owned(),
        ),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, etag),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// What a browser is to call a file: RFC 6266, the name encoded as RFC 8187 has it.
pub(super) fn attachment(name: &str) -> String {
    let mut value = "attachment; filename*=UTF-8''".to_owned();
    for byte in name.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' => value.push(byte as char),
            _ => value.push_str(&format!("%{byte:02X}")),
        }
    }
    value
}

/// The address under which a client has reached this server, which a link must begin with.
///
/// # Errors
/// Without a host that can stand in an address there is none.
pub(super) fn base_url(
    headers: &HeaderMap,
    authority: Option<&str>,
    is_encrypted: bool,
) -> Result<String, ServiceError> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or(authority);
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    let host = host.filter(|host| !host.is_empty() && host.bytes().all(legal));
    let host = host.ok_or(ServiceError::bad("the request names no host"))?;
    let forwarded = headers
        .get("x-forwarded-proto")
        .is_some_and(|scheme| scheme == "https");
    let scheme = if is_encrypted || forwarded {
        "https"
    } else {
        "http"
    };
    Ok(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use cairn_core::ids::Incarnation;

    use super::*;

    #[test]
    fn links_are_signed() {
        let wire = Wire {
            version: VERSION,
            namespace: 42,
            node: 1_000,
            content_seq: 7,
            expires_at_ms: 99,
        };
        let life = Incarnation::new([7; 16]);
        let link = SEAL.write(&wire, &life);
        let prove = |life| SEAL.prove(SEAL.read::<Wire>(&link).unwrap(), life);
        assert_eq!(prove(&life), Some(wire));
        assert_eq!(prove(&Incarnation::new([8; 16])), None);
        for nonsense in ["", "AAAA", "..", &"A".repeat(300)] {
            assert!(SEAL.read::<Wire>(nonsense).is_none(), "{nonsense}");
        }
    }

    #[test]
    fn names_cannot_leave_their_header() {
        assert_eq!(
            attachment("a\"b\r\n é.txt"),
            "attachment; filename*=UTF-8''a%22b%0D%0A%20%C3%A9.txt"
        );
    }

    #[test]
    fn a_host_is_nothing_but_a_host() {
        let base = |host: &str, is_encrypted| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
            base_url(&headers, None, is_encrypted).ok()
        };
        assert_eq!(
            base("cairn.example:8321", true).unwrap(),
            "https://cairn.example:8321"
        );
        assert_eq!(base("[::1]:80", false).unwrap(), "http://[::1]:80");
        for wrong in ["", "a/b", "a@b", "a\"b", "a b"] {
            assert_eq!(base(wrong, true), None, "{wrong}");
        }
    }
}
