//! Temporary links: addresses that give one file in one state to whoever has them, for four hours.
//!
//! A link holds all that it needs and is signed, so that any node of a cluster can answer. Its key is made, as that of cursors
//! is, of the number that names the life of the namespace's journal.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_core::ids::{Incarnation, NamespaceId, NodeId};
use cairn_core::node::{Content, Node};
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;
use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;

use super::error::ApiResult;
use super::files;
use crate::error::ServiceError;
use crate::state::State;

/// Where links are answered.
pub(crate) const ROUTE: &str = "/t/{link}";
/// Hours that a link works, as Dropbox has it.
const HOURS: i64 = 4;
const VERSION: u8 = 1;
const MAC_BYTES: usize = 16;
/// Letters of the longest link.
const LINK_CHARS: usize = 256;
const CONTEXT: &str = "cairn 2026 temporary link v1";

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
    Ok(format!("/t/{}", seal(&wire, &head.incarnation)))
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
    let Some((wire, bytes, signature)) = read(link) else {
        return Ok(unknown());
    };
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
    if !bool::from(mac(&head.incarnation, &bytes).ct_eq(&signature)) {
        return Ok(unknown());
    }
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

fn seal(wire: &Wire, incarnation: &Incarnation) -> String {
    // Writing to a vector cannot fail.
    let mut bytes = minicbor::to_vec(wire).unwrap_or_default();
    bytes.extend_from_slice(&mac(incarnation, &bytes));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read(link: &str) -> Option<(Wire, Vec<u8>, [u8; MAC_BYTES])> {
    if link.len() > LINK_CHARS {
        return None;
    }
    let mut bytes = URL_SAFE_NO_PAD.decode(link).ok()?;
    let signature = bytes.split_off(bytes.len().checked_sub(MAC_BYTES)?);
    let wire: Wire = minicbor::decode(&bytes).ok()?;
    (wire.version == VERSION).then_some(())?;
    Some((wire, bytes, signature.try_into().ok()?))
}

fn mac(incarnation: &Incarnation, bytes: &[u8]) -> [u8; MAC_BYTES] {
    let key = blake3::derive_key(CONTEXT, incarnation.as_bytes());
    let mut mac = [0; MAC_BYTES];
    mac.copy_from_slice(&blake3::keyed_hash(&key, bytes).as_bytes()[..MAC_BYTES]);
    mac
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
        let link = seal(&wire, &life);
        let (found, bytes, signature) = read(&link).unwrap();
        assert_eq!((found, mac(&life, &bytes)), (wire, signature));
        assert_ne!(mac(&Incarnation::new([8; 16]), &bytes), signature);
        for nonsense in ["", "AAAA", "..", &"A".repeat(300)] {
            assert!(read(nonsense).is_none(), "{nonsense}");
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
