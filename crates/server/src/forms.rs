//! The fields of a form, in a body or a query.

use axum::extract::Request;
use bytes::BytesMut;

use crate::body::BodyReader;
use crate::error::ServiceError;
use crate::state::State;

/// Bytes of a form: codes, secrets and URIs at their longest, percent-encoded.
const FORM_BYTES: usize = 16 << 10;

/// Names and values, each name once.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `name=value&...`; `None` when a name comes twice, as RFC 6749 forbids: programs that see the first and the
    /// last of them would not agree.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(text) {
            if fields.iter().any(|(known, _)| *known == name) {
                return None;
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Some(Self(fields))
    }

    /// A field's value; one that is empty counts as left out.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(known, _)| known == name);
        field
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

/// Reads a short body.
pub(crate) async fn body(state: &State, request: Request) -> Result<Vec<u8>, ServiceError> {
    let mut body = BodyReader::new(request, FORM_BYTES, state)?;
    let mut memory = state.body_memory.begin();
    let mut bytes = BytesMut::new();
    while let Some(block) = body.next().await? {
        memory.grow_to(bytes.len() + block.len()).await?;
        bytes.extend_from_slice(&block);
    }
    Ok(bytes.to_vec())
}

/// Reads the fields of a form.
pub(crate) async fn read(state: &State, request: Request) -> Result<Fields, ServiceError> {
    let body = body(state, request).await?;
    Fields::parse(&body).ok_or(ServiceError::bad("a field comes twice"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_once() {
        let fields = Fields::parse(b"a=1%202&b=&c").unwrap();
        assert_eq!(
            (fields.get("a"), fields.get("b"), fields.get("d")),
            (Some("1 2"), None, None)
        );
        assert!(Fields::parse(b"a=1&a=1").is_none());
    }
}
