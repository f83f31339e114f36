//! `search_v2`: finds by name. The tree is read once, page by page, from where the last answer ended.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_core::ids::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::call::Call;
use super::super::error::{self, ApiError, ApiResult};
use super::super::stone::{Union, nested, tag};
use super::super::{metadata, path};
use crate::service::files::{Located, Search};

/// Matches of one answer, as Dropbox has it.
const MOST: usize = 1_000;
const USUAL: usize = 100;
const QUERY_CHARS: usize = 1_000;
/// Letters of the longest cursor.
const CURSOR_CHARS: usize = 16 << 10;

#[derive(Deserialize)]
pub(in super::super) struct SearchArgument {
    query: String,
    options: Option<Options>,
}

#[derive(Deserialize, Default)]
struct Options {
    #[serde(default)]
    path: String,
    max_results: Option<usize>,
    file_status: Option<Union>,
    file_extensions: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub(in super::super) struct Continue {
    cursor: String,
}

/// Where a search goes on: nothing in it is believed that the first call could not have asked for.
#[derive(Serialize, Deserialize)]
struct Cursor {
    query: String,
    path: String,
    limit: usize,
    extensions: Vec<String>,
    after: i64,
}

/// `files/search_v2`
pub(in super::super) async fn search(call: Call, argument: SearchArgument) -> ApiResult<Value> {
    let options = argument.options.unwrap_or_default();
    let limit = options.max_results.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(ApiError::BadInput(format!("max_results: must be 1 to {MOST}")));
    }
    if argument.query.chars().count() > QUERY_CHARS {
        return Err(ApiError::BadInput(format!(
            "query: at most {QUERY_CHARS} characters"
        )));
    }
    if options
        .file_status
        .is_some_and(|status| status.tag() == "deleted")
    {
        let what = "deleted files cannot be searched";
        return Err(ApiError::Route(
            json!({ ".tag": "invalid_argument", "invalid_argument": what }),
        ));
    }
    let cursor = Cursor {
        query: argument.query,
        path: options.path,
        limit,
        extensions: options.file_extensions.unwrap_or_default(),
        after: 0,
    };
    run(&call, cursor).await
}

/// `files/search/continue_v2`
pub(in super::super) async fn search_continue(call: Call, argument: Continue) -> ApiResult<Value> {
    let text = Some(argument.cursor).filter(|text| text.len() <= CURSOR_CHARS);
    let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let cursor = bytes.and_then(|bytes| serde_json::from_slice::<Cursor>(&bytes).ok());
    let cursor = cursor.filter(|cursor| (1..=MOST).contains(&cursor.limit));
    run(
        &call,
        cursor.ok_or_else(|| ApiError::BadInput("cursor: it is none of search_v2".into()))?,
    )
    .await
}

async fn run(call: &Call, cursor: Cursor) -> ApiResult<Value> {
    let shape = |error| error::lookup("path", error);
    let target = path::parse_folder(&cursor.path, call.namespace()).map_err(|error| error.or(shape))?;
    let files = call.files();
    let folder = files
        .find(&target)
        .await
        .and_then(|spot| spot.folder())
        .map_err(shape)?;
    let search = Search::new(&cursor.query, &cursor.extensions);
    let Some(search) = search else {
        return Ok(json!({ "matches": [], "has_more": false }));
    };
    let after = NodeId::new(cursor.after).ok();
    let (found, next) = files
        .search(folder, &search, after, cursor.limit)
        .await
        .map_err(shape)?;
    let matches = matches(call, &found).await?;
    let Some(next) = next else {
        return Ok(json!({ "matches": matches, "has_more": false }));
    };
    let next = Cursor {
        after: next.get(),
        ..cursor
    };
    let text = serde_json::to_vec(&next).map_err(|error| ApiError::BadInput(error.to_string()))?;
    Ok(json!({ "matches": matches, "has_more": true, "cursor": URL_SAFE_NO_PAD.encode(text) }))
}

async fn matches(call: &Call, found: &[Located]) -> ApiResult<Vec<Value>> {
    let all = metadata::many(call, found).await?;
    let one = |metadata| json!({ "metadata": nested("metadata", metadata), "match_type": tag("filename") });
    Ok(all.into_iter().map(one).collect())
}
