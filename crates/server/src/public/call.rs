//! The three styles of calls: JSON in and out, bytes in, bytes out.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, on, post};
use bytes::BytesMut;
use cairn_core::ids::{AccountId, NamespaceId, NodeId};
use cairn_core::name::NodeName;
use cairn_metadata::{Account, Scope};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult, json_response};
use super::links;
use super::stone::tag;
use crate::auth::Caller;
use crate::body::BodyReader;
use crate::error::ServiceError;
use crate::request::Encrypted;
use crate::service::accounts;
use crate::service::files::{FileError, Files, Target};
use crate::state::State;

/// Bytes of a JSON argument: a batch of 1,000 entries with long paths.
const ARGUMENT_BYTES: usize = 4 << 20;
/// Bytes of an argument in a header or in the address.
const HEADER_BYTES: usize = 64 << 10;
/// Bytes of an upload. *Source:* Dropbox's limit for one request.
pub(super) const UPLOAD_BYTES: usize = 150 << 20;
/// The folder that the folders of confined apps stand in.
const APPS: &str = "Apps";
const ARGUMENT: &str = "dropbox-api-arg";
const PATH_ROOT: &str = "dropbox-api-path-root";

/// One authenticated call.
pub(crate) struct Call {
    pub(crate) state: Arc<State>,
    pub(crate) caller: Caller,
    pub(crate) account: Account,
    /// The request's headers.
    pub(crate) headers: HeaderMap,
    /// The folder that paths begin in.
    home: NodeId,
    authority: Option<String>,
    is_encrypted: bool,
}

impl Call {
    /// Finds the account, whether its token may do this, and whether its path root is this account's.
    async fn begin(state: Arc<State>, parts: &Parts, scope: Scope) -> ApiResult<Self> {
        let caller = Caller::authenticate(parts, &state).await?;
        count(&state, caller.account)?;
        caller.require(scope)?;
        let account = accounts::account_of(&state, caller.account).await?;
        let mut call = Self {
            state,
            caller,
            account,
            headers: parts.headers.clone(),
            home: NodeId::ROOT,
            authority: parts.uri.authority().map(ToString::to_string),
            is_encrypted: matches!(parts.extensions.get(), Some(Encrypted(true))),
        };
        call.check_path_root()?;
        if let Some(folder) = accounts::apps::app_folder(&call.state, &call.caller).await? {
            call.home = call.app_home(&folder).await?;
        }
        Ok(call)
    }

    /// The folder of an app that is confined to one, made when it is not there.
    async fn app_home(&self, folder: &str) -> ApiResult<NodeId> {
        let names = [APPS, folder]
            .into_iter()
            .map(NodeName::new)
            .collect::<Result<_, _>>();
        let unusable = || ApiError::BadInput("the folder of this app cannot be used".into());
        let target = Target::Path(names.map_err(|_| unusable())?);
        for _ in 0..2 {
            match self.files().find(&target).await {
                Ok(spot) => return spot.folder().map_err(|_| unusable()),
                Err(FileError::NotFound) => {}
                Err(FileError::Service(error)) => return Err(error.into()),
                Err(_) => return Err(unusable()),
            }
            match self.files().make_folder(&target, false).await {
                Ok(made) => return Ok(made.node.id),
                // Another call of the same app was faster.
                Err(FileError::Conflict(_)) => {}
                Err(FileError::Service(error)) => return Err(error.into()),
                Err(_) => return Err(unusable()),
            }
        }
        Err(unusable())
    }

    /// The namespace that paths begin in.
    pub(crate) const fn namespace(&self) -> NamespaceId {
        self.account.root
    }

    /// Whether it may look into one folder alone.
    pub(crate) fn is_confined(&self) -> bool {
        self.home != NodeId::ROOT
    }

    /// The address under which the client has reached this server.
    pub(super) fn base_url(&self) -> ApiResult<String> {
        let authority = self.authority.as_deref();
        Ok(links::base_url(&self.headers, authority, self.is_encrypted)?)
    }

    /// Its files.
    pub(crate) const fn files(&self) -> Files<'_> {
        Files {
            state: &self.state,
            namespace: self.account.root,
            home: self.home,
            author: self.caller.author(),
        }
    }

    /// The account's own namespace as clients write it.
    pub(crate) fn root_id(&self) -> String {
        self.account.root.get().to_string()
    }

    fn check_path_root(&self) -> ApiResult<()> {
        let Some(wanted) = self.headers.get(PATH_ROOT) else {
            return Ok(());
        };
        let wanted: Value = serde_json::from_slice(wanted.as_bytes())
            .map_err(|error| ApiError::BadInput(format!("Dropbox-API-Path-Root: {error}")))?;
        let named = match wanted.get(".tag").and_then(Value::as_str) {
            Some("home") => return Ok(()),
            Some("root") => wanted.get("root"),
            Some("namespace_id") => wanted.get("namespace_id"),
            _ => {
                return Err(ApiError::BadInput(
                    "Dropbox-API-Path-Root: home, root or namespace_id".into(),
                ));
            }
        };
        let root = self.root_id();
        if named.and_then(Value::as_str) == Some(root.as_str()) {
            return Ok(());
        }
        let error = match wanted.get(".tag").and_then(Value::as_str) {
            Some("root") => json!({ ".tag": "invalid_root", "invalid_root": {
                ".tag": "user", "root_namespace_id": root, "home_namespace_id": root } }),
            _ => tag("no_permission"),
        };
        Err(ApiError::PathRoot(error))
    }
}

/// Counts a call of an account's, whichever of its apps it comes from.
pub(super) fn count(state: &State, account: AccountId) -> Result<(), ServiceError> {
    let limited = |retry_after| ServiceError::RateLimited { retry_after };
    state.auth.calls.take(&account, 1).map_err(limited)
}

/// A route that takes JSON and gives JSON.
pub(super) fn rpc<A, R, H, F>(scope: Scope, handler: H) -> MethodRouter<Arc<State>>
where
    A: DeserializeOwned + Send + 'static,
    H: Fn(Call, A) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ApiResult<R>> + Send,
    R: Serialize,
{
    post(
        move |Shared(state): Shared<Arc<State>>, request: Request| async move {
            let answer = async {
                let (parts, body) = request.into_parts();
                let call = Call::begin(Arc::clone(&state), &parts, scope).await?;
                let argument = body_argument(&state, Request::from_parts(parts, body)).await?;
                handler(call, argument).await
            };
            respond(answer.await)
        },
    )
}

/// A route whose argument stands in a header and whose body are bytes.
pub(super) fn upload<A, R, H, F>(scope: Scope, handler: H) -> MethodRouter<Arc<State>>
where
    A: DeserializeOwned + Send + 'static,
    H: Fn(Call, A, BodyReader) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ApiResult<R>> + Send,
    R: Serialize,
{
    post(
        move |Shared(state): Shared<Arc<State>>, request: Request| async move {
            let answer = async {
                let (parts, body) = request.into_parts();
                let call = Call::begin(Arc::clone(&state), &parts, scope).await?;
                let argument = header_argument(&parts)?;
                let request = Request::from_parts(parts, body);
                let body = BodyReader::new(request, UPLOAD_BYTES, &state).map_err(too_large)?;
                handler(call, argument, body).await
            };
            respond(answer.await)
        },
    )
}

/// A route whose argument stands in a header and whose answer are bytes.
pub(super) fn download<A, H, F>(scope: Scope, handler: H) -> MethodRouter<Arc<State>>
where
    A: DeserializeOwned + Send + 'static,
    H: Fn(Call, A) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ApiResult<Response>> + Send,
{
    let filter = axum::routing::MethodFilter::POST.or(axum::routing::MethodFilter::GET);
    on(
        filter,
        move |Shared(state): Shared<Arc<State>>, request: Request| async move {
            let (parts, _) = request.into_parts();
            let answer = async {
                let call = Call::begin(state, &parts, scope).await?;
                handler(call, header_argument(&parts)?).await
            };
            answer.await.unwrap_or_else(IntoResponse::into_response)
        },
    )
}

/// What every address below `/2/` that is no route answers.
pub(super) async fn unknown_route(uri: Uri) -> ApiError {
    const LATER: [&str; 2] = ["/2/sharing/", "/2/file_requests/"];
    let is_later = LATER.iter().any(|prefix| uri.path().starts_with(prefix));
    ApiError::BadInput(match is_later {
        true => "This server shares no links and folders yet".into(),
        false => "Unknown API function: docs/api.md lists those that there are".into(),
    })
}

/// Over the limit of one request.
pub(super) fn too_large(error: ServiceError) -> ApiError {
    match error {
        ServiceError::TooLarge { .. } => ApiError::Route(tag("payload_too_large")),
        other => other.into(),
    }
}

/// As [`rpc`], for who has no token.
pub(super) fn by_cursor<A, R, H, F>(handler: H) -> MethodRouter<Arc<State>>
where
    A: DeserializeOwned + Send + 'static,
    H: Fn(Arc<State>, A) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ApiResult<R>> + Send,
    R: Serialize,
{
    post(
        move |Shared(state): Shared<Arc<State>>, request: Request| async move {
            let answer = async {
                let argument = body_argument(&state, request).await?;
                handler(state, argument).await
            };
            respond(answer.await)
        },
    )
}

/// A route for who has a token, whatever that may do. What else comes is not read.
pub(super) fn by_token<R, H, F>(handler: H) -> MethodRouter<Arc<State>>
where
    H: Fn(Arc<State>, Caller) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ApiResult<R>> + Send,
    R: Serialize,
{
    post(
        move |Shared(state): Shared<Arc<State>>, request: Request| async move {
            let (parts, _) = request.into_parts();
            let answer = async {
                let caller = Caller::authenticate(&parts, &state).await?;
                count(&state, caller.account)?;
                handler(state, caller).await
            };
            respond(answer.await)
        },
    )
}

fn respond(answer: ApiResult<impl Serialize>) -> Response {
    match answer {
        Ok(value) => json_response(StatusCode::OK, &value),
        Err(error) => error.into_response(),
    }
}

/// Reads a JSON body; none is the same as `null`.
async fn body_argument<A: DeserializeOwned>(state: &State, request: Request<Body>) -> ApiResult<A> {
    let mut body = BodyReader::new(request, ARGUMENT_BYTES, state)?;
    let mut memory = state.body_memory.begin();
    let mut bytes = BytesMut::new();
    while let Some(block) = body.next().await? {
        memory.grow_to(bytes.len() + block.len()).await?;
        bytes.extend_from_slice(&block);
    }
    parse(&bytes, "request body")
}

pub(super) fn header_argument<A: DeserializeOwned>(parts: &Parts) -> ApiResult<A> {
    if let Some(argument) = parts.headers.get(ARGUMENT) {
        // Some clients send UTF-8 as it is.
        return parse(argument.as_bytes(), "HTTP header \"Dropbox-API-Arg\"");
    }
    let query = parts.uri.query().unwrap_or_default();
    let argument = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "arg");
    let (_, argument) = argument.ok_or_else(|| {
        ApiError::BadInput("the argument is missing: HTTP header \"Dropbox-API-Arg\"".into())
    })?;
    parse(argument.as_bytes(), "URL parameter \"arg\"")
}

fn parse<A: DeserializeOwned>(bytes: &[u8], place: &str) -> ApiResult<A> {
    if place != "request body" && bytes.len() > HEADER_BYTES {
        return Err(ApiError::BadInput(format!(
            "{place}: at most {HEADER_BYTES} bytes"
        )));
    }
    let bytes = if bytes.trim_ascii().is_empty() {
        b"null"
    } else {
        bytes
    };
    serde_json::from_slice(bytes).map_err(|error| ApiError::BadInput(format!("{place}: {error}")))
}

/// The value of a header, as text.
pub(super) fn header_text<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// JSON that fits into a header: ASCII, the rest escaped.
pub(super) fn header_json(value: &impl Serialize) -> String {
    let mut text = String::new();
    for c in serde_json::to_string(value).unwrap_or_default().chars() {
        if matches!(c, ' '..='~') {
            text.push(c);
            continue;
        }
        let mut units = [0; 2];
        for unit in c.encode_utf16(&mut units) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}
