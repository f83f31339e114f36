//! `search_v2`: finds by name. The tree is read once, page by page, from where the last answer ended.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_core::ids::NodeId;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::call::Call;
use super::super::error::{self, ApiError, ApiResult};
use super::super::stone::{self, Union};
use super::super::{metadata, path};
use super::answers::{Found, Match, MatchType, Matches};
use crate::service::files::{Located, Search};

/// Matches of one answer, as Dropbox has it.
const MOST: usize = 1_000;
const USUAL: usize = 100;
const QUERY_CHARS: usize = 1_000;
/// Letters of the longest cursor.
const CURSOR_CHARS: usize = 16 << 10;

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct SearchArgument {
    #[schemars(length(max = QUERY_CHARS))]
    query: String,
    options: Option<Options>,
}

#[derive(Deserialize, Default, JsonSchema)]
struct Options {
    #[serde(default)]
    #[schemars(extend("pattern" = path::FOLDER))]
    path: String,
    #[schemars(range(min = 1, max = MOST))]
    max_results: Option<usize>,
    #[schemars(schema_with = "file_status")]
    #[serde(default)]
    file_status: Option<Union>,
    file_extensions: Option<Vec<String>>,
}

fn file_status(_: &mut SchemaGenerator) -> Schema {
    stone::one_of(&["active", "deleted"])
}

#[derive(Deserialize, JsonSchema)]
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
pub(in super::super) async fn search(call: Call, argument: SearchArgument) -> ApiResult<Matches> {
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
pub(in super::super) async fn search_continue(call: Call, argument: Continue) -> ApiResult<Matches> {
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

async fn run(call: &Call, cursor: Cursor) -> ApiResult<Matches> {
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
        return Ok(Matches::last(Vec::new()));
    };
    let after = NodeId::new(cursor.after).ok();
    let (found, next) = files
        .search(folder, &search, after, cursor.limit)
        .await
        .map_err(shape)?;
    let matches = matches(call, &found).await?;
    let Some(next) = next else {
        return Ok(Matches::last(matches));
    };
    let next = Cursor {
        after: next.get(),
        ..cursor
    };
    let text = serde_json::to_vec(&next).map_err(|error| ApiError::BadInput(error.to_string()))?;
    Ok(Matches {
        matches,
        has_more: true,
        cursor: Some(URL_SAFE_NO_PAD.encode(text)),
    })
}

async fn matches(call: &Call, found: &[Located]) -> ApiResult<Vec<Match>> {
    let all = metadata::many(call, found).await?;
    let one = |metadata| Match {
        metadata: Found::Metadata { metadata },
        match_type: MatchType::Filename,
    };
    Ok(all.into_iter().map(one).collect())
}
