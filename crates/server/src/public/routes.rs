//! The table's lines: what a route takes and gives, who may call it, and what serves it.
//!
//! [`super::table`] is the one list of routes. The router is made of it, and so is the document that describes them.

use std::sync::Arc;

use axum::response::Response;
use axum::routing::{MethodRouter, get};
use cairn_metadata::Scope;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{self, Call};
use super::error::ApiResult;
use crate::auth::Caller;
use crate::body::BodyReader;
use crate::state::State;

/// Writes down a type for the document.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// How a call brings its argument and gets its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// JSON in, JSON out.
    Rpc,
    /// JSON in a header and bytes in, JSON out.
    Upload,
    /// JSON in a header in, JSON in a header and bytes out.
    Download,
    /// Nothing in, JSON out, by GET.
    Document,
}

impl Style {
    /// What clients of Dropbox call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Document => "document",
        }
    }
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// A token with this scope.
    Token(Scope),
    /// A token, whatever it may do.
    AnyToken,
    /// Whoever has the cursor that is in the argument.
    Cursor,
    /// Anybody.
    Anybody,
}

/// One route.
pub(super) struct Route {
    /// Its address below `/2/`.
    pub(super) path: &'static str,
    /// One sentence.
    pub(super) summary: &'static str,
    pub(super) style: Style,
    pub(super) access: Access,
    pub(super) argument: Shape,
    pub(super) result: Shape,
    /// The union of its own errors, if it has any.
    pub(super) error: Option<Shape>,
    /// What the bytes of a download are.
    pub(super) media: &'static [&'static str],
    /// Whether a part of a download can be asked for.
    pub(super) has_parts: bool,
    /// What serves it.
    pub(super) serve: MethodRouter<Arc<State>>,
}

impl Route {
    fn new<A: JsonSchema, R: JsonSchema>(
        path: &'static str,
        summary: &'static str,
        (style, access): (Style, Access),
        serve: MethodRouter<Arc<State>>,
    ) -> Self {
        Self {
            path,
            summary,
            style,
            access,
            argument: SchemaGenerator::subschema_for::<A>,
            result: SchemaGenerator::subschema_for::<R>,
            error: None,
            media: &["application/octet-stream"],
            has_parts: false,
            serve,
        }
    }

    /// Its whole path.
    pub(super) fn address(&self) -> String {
        format!("{}{}", super::PREFIX, self.path)
    }

    /// Names the union of its own errors.
    pub(super) fn fails<E: JsonSchema>(mut self) -> Self {
        self.error = Some(SchemaGenerator::subschema_for::<E>);
        self
    }

    /// Names what the header of a download holds.
    pub(super) fn gives<R: JsonSchema>(mut self) -> Self {
        self.result = SchemaGenerator::subschema_for::<R>;
        self
    }

    /// Says what the bytes of a download are.
    pub(super) const fn media(mut self, kinds: &'static [&'static str]) -> Self {
        self.media = kinds;
        self
    }

    /// Says that a part of a download can be asked for.
    pub(super) const fn in_parts(mut self) -> Self {
        self.has_parts = true;
        self
    }
}

/// A route that takes JSON and gives JSON.
pub(super) fn rpc<A, R, H, F>(path: &'static str, scope: Scope, summary: &'static str, handler: H) -> Route
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    R: Serialize + JsonSchema,
    H: Fn(Call, A) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ApiResult<R>> + Send,
{
    let kind = (Style::Rpc, Access::Token(scope));
    Route::new::<A, R>(path, summary, kind, call::rpc(scope, handler))
}

/// A route whose argument stands in a header and whose body are bytes.
pub(super) fn upload<A, R, H, F>(path: &'static str, scope: Scope, summary: &'static str, handler: H) -> Route
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    R: Serialize + JsonSchema,
    H: Fn(Call, A, BodyReader) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ApiResult<R>> + Send,
{
    let kind = (Style::Upload, Access::Token(scope));
    Route::new::<A, R>(path, summary, kind, call::upload(scope, handler))
}

/// A route whose argument stands in a header and whose answer are bytes, with a result in a header.
pub(super) fn download<A, H, F>(path: &'static str, scope: Scope, summary: &'static str, handler: H) -> Route
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    H: Fn(Call, A) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ApiResult<Response>> + Send,
{
    let kind = (Style::Download, Access::Token(scope));
    Route::new::<A, ()>(path, summary, kind, call::download(scope, handler))
}

/// As [`rpc`], for who has a cursor and no token.
pub(super) fn by_cursor<A, R, H, F>(path: &'static str, summary: &'static str, handler: H) -> Route
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    R: Serialize + JsonSchema,
    H: Fn(Arc<State>, A) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ApiResult<R>> + Send,
{
    let kind = (Style::Rpc, Access::Cursor);
    Route::new::<A, R>(path, summary, kind, call::by_cursor(handler))
}

/// A route that takes nothing but a token, whatever that may do.
pub(super) fn by_token<R, H, F>(path: &'static str, summary: &'static str, handler: H) -> Route
where
    R: Serialize + JsonSchema,
    H: Fn(Arc<State>, Caller) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ApiResult<R>> + Send,
{
    let kind = (Style::Rpc, Access::AnyToken);
    Route::new::<(), R>(path, summary, kind, call::by_token(handler))
}

/// JSON for anybody.
pub(super) fn document<R, H, F>(path: &'static str, summary: &'static str, handler: H) -> Route
where
    R: JsonSchema,
    H: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send,
{
    let kind = (Style::Document, Access::Anybody);
    Route::new::<(), R>(path, summary, kind, get(handler))
}
