//! What the routes of files answer with.

use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::super::error::{ApiError, ApiResult};
use super::super::metadata::{FileMetadata, Metadata};
use super::super::unions;

/// What is known of a file.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub(crate) enum File {
    File(FileMetadata),
}

/// What was made, moved or deleted.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Wrapped {
    pub(crate) metadata: Metadata,
}

/// What a small picture was made of.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Preview {
    pub(crate) file_metadata: File,
}

/// A page of a listing.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Metadata>,
    /// Goes on from here.
    pub(crate) cursor: String,
    /// Whether there is more already.
    pub(crate) has_more: bool,
}

/// A cursor to go on from.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Latest {
    pub(crate) cursor: String,
}

/// Whether something has changed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Changes {
    pub(crate) changes: bool,
}

/// States of a file.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Revisions {
    pub(crate) is_deleted: bool,
    pub(crate) entries: Vec<File>,
    pub(crate) has_more: bool,
}

/// What a search has found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Matches {
    pub(crate) matches: Vec<Match>,
    pub(crate) has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
}

impl Matches {
    /// An answer after which there is nothing more.
    pub(super) const fn last(matches: Vec<Match>) -> Self {
        Self {
            matches,
            has_more: false,
            cursor: None,
        }
    }
}

/// One thing that was found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Match {
    pub(crate) metadata: Found,
    pub(crate) match_type: MatchType,
    /// A passage of what it holds, where that was asked for and is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) highlight_spans: Option<Vec<HighlightSpan>>,
}

/// A piece of a passage.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HighlightSpan {
    pub(crate) highlight_str: String,
    pub(crate) is_highlighted: bool,
}

/// What was found.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub(crate) enum Found {
    Metadata { metadata: Metadata },
}

/// By what it was found.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub(crate) enum MatchType {
    Filename,
    FileContent,
    FilenameAndContent,
}

/// An address that gives a file.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TemporaryLink {
    pub(crate) metadata: File,
    pub(crate) link: String,
}

/// An upload that was begun.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Session {
    pub(crate) session_id: String,
}

/// Uploads that were begun.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Sessions {
    pub(crate) session_ids: Vec<String>,
}

/// Results in the order of the entries.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Entries_{T}")]
pub(crate) struct Entries<T> {
    pub(crate) entries: Vec<T>,
}

/// What became of a batch.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
#[schemars(rename = "Launch_{T}")]
pub(crate) enum Launch<T> {
    Complete { entries: Vec<T> },
    Failed { failed: BatchError },
}

/// Why nothing of a batch was done.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub(crate) enum BatchError {
    TooManyFiles,
}

/// What became of one entry of a batch.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
#[serde(bound = "T: Serialize")]
#[schemars(rename = "Entry_{T}_{E}")]
pub(crate) enum Entry<T, E: JsonSchema> {
    Success(T),
    Failure { failure: Failed<E> },
}

impl<T, E: JsonSchema> Entry<T, E> {
    /// What a route has answered, unless that ends the batch.
    pub(super) fn of(answer: ApiResult<T>) -> ApiResult<Self> {
        match answer {
            Ok(value) => Ok(Self::Success(value)),
            Err(ApiError::Route(error)) => Ok(Self::failure(error)),
            Err(other) => Err(other),
        }
    }

    /// A refusal.
    pub(super) const fn failure(error: Value) -> Self {
        Self::Failure {
            failure: Failed(error, PhantomData),
        }
    }
}

/// A value of a union of errors.
pub(crate) struct Failed<E>(Value, PhantomData<E>);

impl<E> Serialize for Failed<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<E: JsonSchema> JsonSchema for Failed<E> {
    fn inline_schema() -> bool {
        E::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        E::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        E::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        E::json_schema(generator)
    }
}

/// Nothing beside that it was done.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Done {}

/// Where one of several things has gone.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Relocated {
    pub(crate) success: Metadata,
}

/// A small picture of one of several.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Thumbnail {
    pub(crate) metadata: File,
    /// Its bytes, as base64.
    pub(crate) thumbnail: String,
}

pub(crate) type FolderMade = Entry<Wrapped, unions::CreateFolderError>;
pub(crate) type Deleted = Entry<Wrapped, unions::DeleteError>;
pub(crate) type Moved = Entry<Relocated, unions::RelocationEntryError>;
pub(crate) type Finished = Entry<FileMetadata, unions::FinishError>;
pub(crate) type Appended = Entry<Done, unions::AppendError>;
pub(crate) type ThumbnailMade = Entry<Thumbnail, unions::ThumbnailError>;
