//! `search_v2`: finds by name. The tree is read once, page by page, from where the last answer ended.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_core::ids::NodeId;
use cairn_core::rev::Seq;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::call::Call;
use super::super::error::{self, ApiError, ApiResult};
use super::super::metadata::{self, Metadata};
use super::super::path;
use super::super::stone::{self, Union};
use super::answers::{Found, Match, MatchType, Matches};
use crate::service::files::{FileError, Search};

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
    #[schemars(schema_with = "order_by")]
    #[serde(default)]
    order_by: Option<Union>,
    file_extensions: Option<Vec<String>>,
}

fn file_status(_: &mut SchemaGenerator) -> Schema {
    stone::one_of(&["active", "deleted"])
}

fn order_by(_: &mut SchemaGenerator) -> Schema {
    stone::one_of(&["relevance", "last_modified_time"])
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
    what: What,
    after: i64,
}

/// What is looked through.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
enum What {
    /// What is there, in the order of ids.
    There,
    /// What is there, the newest first.
    Newest,
    /// What was deleted.
    Deleted,
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
    let is_deleted = options
        .file_status
        .is_some_and(|status| status.tag() == "deleted");
    let is_ordered = options
        .order_by
        .is_some_and(|order| order.tag() == "last_modified_time");
    let what = match (is_deleted, is_ordered) {
        (false, false) => What::There,
        (false, true) => What::Newest,
        (true, false) => What::Deleted,
        (true, true) => return Err(invalid("what was deleted has no order")),
    };
    // Its owner may have taken something away before the app was let in.
    if is_deleted && call.is_confined() {
        return Err(invalid("an app with a folder cannot search what was deleted"));
    }
    let cursor = Cursor {
        query: argument.query,
        path: options.path,
        limit,
        extensions: options.file_extensions.unwrap_or_default(),
        what,
        after: 0,
    };
    run(&call, cursor).await
}

fn invalid(what: &str) -> ApiError {
    ApiError::Route(json!({ ".tag": "invalid_argument", "invalid_argument": what }))
}

/// `files/search/continue_v2`
pub(in super::super) async fn search_continue(call: Call, argument: Continue) -> ApiResult<Matches> {
    let text = Some(argument.cursor).filter(|text| text.len() <= CURSOR_CHARS);
    let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let cursor = bytes.and_then(|bytes| serde_json::from_slice::<Cursor>(&bytes).ok());
    let cursor = cursor.filter(|cursor| {
        (1..=MOST).contains(&cursor.limit) && !(cursor.what == What::Deleted && call.is_confined())
    });
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
    let limit = cursor.limit;
    let (matches, next) = match cursor.what {
        What::There => {
            let found = files.search(folder, &search, after, limit).await;
            let (found, next) = found.map_err(shape)?;
            (metadata::many(call, &found).await?, next.map(NodeId::get))
        }
        What::Newest => {
            let before = Seq::new(cursor.after).filter(|seq| *seq != Seq::ZERO);
            let found = files.search_newest(folder, &search, before, limit).await;
            let (found, next) = found.map_err(|error| match error {
                FileError::TooManyFiles => invalid("there are too many files to put them in order"),
                error => shape(error),
            })?;
            (metadata::many(call, &found).await?, next.map(Seq::get))
        }
        What::Deleted => {
            let found = files.search_deleted(folder, &search, after, limit).await;
            let (found, next) = found.map_err(shape)?;
            let deleted = found.iter().map(|names| metadata::deleted(names));
            (deleted.collect(), next.map(NodeId::get))
        }
    };
    let matches = matches.into_iter().map(one_match).collect();
    let Some(next) = next else {
        return Ok(Matches::last(matches));
    };
    let next = Cursor {
        after: next,
        ..cursor
    };
    let text = serde_json::to_vec(&next).map_err(|error| ApiError::BadInput(error.to_string()))?;
    Ok(Matches {
        matches,
        has_more: true,
        cursor: Some(URL_SAFE_NO_PAD.encode(text)),
    })
}

const fn one_match(metadata: Metadata) -> Match {
    Match {
        metadata: Found::Metadata { metadata },
        match_type: MatchType::Filename,
    }
}
