//! `search_v2`: finds by what files hold, the best first, and then by name: the tree is read once, page by page, from where the
//! last answer ended.

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
use super::answers::{self, HighlightSpan, Match, MatchType, Matches};
use crate::service::files::{Among, FileError, Files, Found, FoundBy, Search};
use crate::text_index::{Hit, Span};

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
    match_field_options: Option<MatchFieldOptions>,
}

#[derive(Deserialize, Default, JsonSchema)]
struct MatchFieldOptions {
    /// Whether passages of what files hold are told.
    #[serde(default)]
    include_highlights: bool,
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
    /// Whether what files hold is left aside.
    #[serde(default)]
    filename_only: bool,
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
    filename_only: bool,
    highlights: bool,
    after: i64,
}

/// What is looked through.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
enum What {
    /// What is there by what it holds, the best first.
    Texts,
    /// What is there by its name, in the order of ids.
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
        (false, false) => What::Texts,
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
        filename_only: options.filename_only,
        highlights: argument
            .match_field_options
            .unwrap_or_default()
            .include_highlights,
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
    let Some(mut search) = search else {
        return Ok(Matches::last(Vec::new()));
    };
    let hits = match cursor.filename_only || cursor.what == What::Deleted {
        true => Vec::new(),
        false => files.search_texts(&cursor.query, &mut search).await,
    };
    let mut page = Page {
        call,
        files: &files,
        cursor: &cursor,
        matches: Vec::new(),
    };
    let next = match cursor.what {
        What::Texts => {
            let after = usize::try_from(cursor.after).unwrap_or(usize::MAX);
            let next = page.texts(folder, &search, &hits, after).await?;
            match next {
                Some(next) => Some((What::Texts, i64::try_from(next).unwrap_or(i64::MAX))),
                None => page.walk(folder, &search, Among::There, None).await?,
            }
        }
        What::There | What::Deleted => {
            let among = match cursor.what {
                What::Deleted => Among::Deleted,
                _ => Among::There,
            };
            let after = NodeId::new(cursor.after).ok();
            page.walk(folder, &search, among, after).await?
        }
        What::Newest => {
            let before = Seq::new(cursor.after).filter(|seq| *seq != Seq::ZERO);
            let found = files.search_newest(folder, &search, before, cursor.limit).await;
            let (found, next) = found.map_err(|error| match error {
                FileError::TooManyFiles => invalid("there are too many files to put them in order"),
                error => shape(error),
            })?;
            page.add(found).await?;
            next.map(|next| (What::Newest, next.get()))
        }
    };
    let matches = page.matches;
    let Some((what, after)) = next else {
        return Ok(Matches::last(matches));
    };
    let next = Cursor {
        what,
        after,
        ..cursor
    };
    let text = serde_json::to_vec(&next).map_err(|error| ApiError::BadInput(error.to_string()))?;
    Ok(Matches {
        matches,
        has_more: true,
        cursor: Some(URL_SAFE_NO_PAD.encode(text)),
    })
}

/// An answer that is being made.
struct Page<'p> {
    call: &'p Call,
    files: &'p Files<'p>,
    cursor: &'p Cursor,
    matches: Vec<Match>,
}

impl Page<'_> {
    /// Adds what was found by what it holds; where that goes on, if it does.
    async fn texts(
        &mut self,
        folder: NodeId,
        search: &Search,
        hits: &[Hit],
        after: usize,
    ) -> ApiResult<Option<usize>> {
        let found = self
            .files
            .found_texts(folder, search, hits, after, self.cursor.limit)
            .await;
        let (found, next) = found.map_err(|error| error::lookup("path", error))?;
        let passages = match self.cursor.highlights {
            true => self.files.passages(&self.cursor.query, &found).await,
            false => vec![Vec::new(); found.len()],
        };
        let by: Vec<FoundBy> = found.iter().map(|found| found.by).collect();
        let located: Vec<_> = found.into_iter().map(|found| found.file).collect();
        let described = metadata::many(self.call, &located).await?;
        let all = described.into_iter().zip(by).zip(passages);
        self.matches
            .extend(all.map(|((metadata, by), passage)| one_match(metadata, by, passage)));
        Ok(next)
    }

    /// Adds what is found by its name, as much as there is room for; where that goes on, if it does.
    async fn walk(
        &mut self,
        folder: NodeId,
        search: &Search,
        among: Among,
        after: Option<NodeId>,
    ) -> ApiResult<Option<(What, i64)>> {
        let what = match among {
            Among::There => What::There,
            Among::Deleted => What::Deleted,
        };
        let room = self.cursor.limit - self.matches.len();
        if room == 0 {
            return Ok(Some((what, 0)));
        }
        let found = self.files.search(folder, search, among, after, room).await;
        let (found, next) = found.map_err(|error| error::lookup("path", error))?;
        self.add(found).await?;
        Ok(next.map(|next| (what, next.get())))
    }

    async fn add(&mut self, found: Vec<Found>) -> ApiResult<()> {
        let mut there = Vec::new();
        let mut by = Vec::new();
        for one in found {
            match one {
                Found::There(located, found_by) => {
                    there.push(located);
                    by.push(found_by);
                }
                Found::Deleted(names) => {
                    let metadata = metadata::deleted(&names);
                    self.matches.push(one_match(metadata, FoundBy::Name, Vec::new()));
                }
            }
        }
        let described = metadata::many(self.call, &there).await?;
        let all = described.into_iter().zip(by);
        self.matches
            .extend(all.map(|(metadata, by)| one_match(metadata, by, Vec::new())));
        Ok(())
    }
}

fn one_match(metadata: Metadata, by: FoundBy, passage: Vec<Span>) -> Match {
    let spans = passage.into_iter().map(|span| HighlightSpan {
        highlight_str: span.text,
        is_highlighted: span.is_word,
    });
    let spans: Vec<HighlightSpan> = spans.collect();
    Match {
        metadata: answers::Found::Metadata { metadata },
        match_type: match by {
            FoundBy::Name => MatchType::Filename,
            FoundBy::Content => MatchType::FileContent,
            FoundBy::Both => MatchType::FilenameAndContent,
        },
        highlight_spans: Some(spans).filter(|spans| !spans.is_empty()),
    }
}
