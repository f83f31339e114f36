//! Files and folders as clients see them.

use cairn_core::name::NodeName;
use cairn_core::node::{Content, Node};
use cairn_core::rev::Rev;
use schemars::JsonSchema;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use super::call::Call;
use super::error::{ApiResult, lookup};
use super::files::answers::File;
use super::media::MediaInfo;
use super::path::file_id;
use super::stone;
use crate::service::files::{FileError, Located, Spot};

/// The hash of no bytes: what a symbolic link is said to hold.
const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What is known of a file or folder.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub(crate) enum Metadata {
    File(FileMetadata),
    Folder(FolderMetadata),
    Deleted(DeletedMetadata),
}

impl Metadata {
    /// Adds what a picture tells of itself; of anything else there is nothing to tell.
    pub(crate) fn tell_media(&mut self, info: Option<MediaInfo>) {
        if let Self::File(file) = self {
            file.media_info = info;
        }
    }
}

/// What is known of a file.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FileMetadata {
    name: String,
    #[serde(flatten)]
    paths: Paths,
    /// Stays the same over moves and edits.
    id: String,
    client_modified: String,
    server_modified: String,
    /// Names its content for good.
    rev: String,
    is_downloadable: bool,
    size: u64,
    /// As Dropbox computes it, of 4 MiB blocks.
    content_hash: String,
    /// Of a symbolic link.
    #[serde(skip_serializing_if = "Option::is_none")]
    symlink_info: Option<SymlinkInfo>,
    /// Of a picture, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    media_info: Option<MediaInfo>,
}

/// What is known of a folder.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FolderMetadata {
    name: String,
    #[serde(flatten)]
    paths: Paths,
    /// Stays the same over moves.
    id: String,
}

/// What has gone.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DeletedMetadata {
    name: String,
    #[serde(flatten)]
    paths: Paths,
}

/// Where something stands; nowhere when it was deleted and is known by its id.
#[derive(Serialize, JsonSchema)]
struct Paths {
    #[serde(skip_serializing_if = "Option::is_none")]
    path_lower: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_display: Option<String>,
}

impl Paths {
    fn of(path: Option<String>) -> Self {
        Self {
            path_lower: path.as_ref().map(|path| path.to_lowercase()),
            path_display: path,
        }
    }
}

/// Where a symbolic link leads.
#[derive(Serialize, JsonSchema)]
struct SymlinkInfo {
    target: String,
}

/// One thing with its tag.
pub(crate) async fn one(call: &Call, located: &Located) -> ApiResult<Metadata> {
    let mut all = many(call, std::slice::from_ref(located)).await?;
    all.pop().ok_or_else(|| lookup("path", FileError::NotFound))
}

/// What is known of a file; of anything else there is nothing of the kind.
pub(crate) async fn file(call: &Call, located: &Located) -> ApiResult<FileMetadata> {
    file_of(one(call, located).await?)
}

/// The same with its tag.
pub(crate) async fn tagged_file(call: &Call, located: &Located) -> ApiResult<File> {
    file(call, located).await.map(File::File)
}

/// As [`tagged_file`], for several.
pub(crate) async fn tagged_files(call: &Call, located: &[Located]) -> ApiResult<Vec<File>> {
    let all = many(call, located).await?;
    let tagged = |metadata| file_of(metadata).map(File::File);
    all.into_iter().map(tagged).collect()
}

/// What is known of a file, without its tag.
pub(crate) fn file_of(metadata: Metadata) -> ApiResult<FileMetadata> {
    match metadata {
        Metadata::File(file) => Ok(file),
        _ => Err(lookup("path", FileError::NotFile)),
    }
}

/// Things with their tags, in order.
pub(crate) async fn many(call: &Call, located: &[Located]) -> ApiResult<Vec<Metadata>> {
    let seqs: Vec<_> = located.iter().map(|found| found.node.content_seq).collect();
    let written = call.state.metadata.written(call.namespace(), &seqs).await?;
    let all = located.iter().zip(written);
    let describe = |(found, written): (&Located, Option<cairn_metadata::Written>)| {
        let modified = written.map(|written| written.at.as_millis().div_euclid(1_000));
        describe(call, found, modified)
    };
    Ok(all.map(describe).collect())
}

/// What a spot is; the root is nothing that has metadata.
pub(crate) fn spot(spot: Spot) -> Option<Located> {
    match spot {
        Spot::Root(_) => None,
        Spot::Node(located) => Some(located),
    }
}

fn describe(call: &Call, found: &Located, modified: Option<i64>) -> Metadata {
    let node = &found.node;
    let name: String = node.place.name.as_str().nfc().collect();
    let paths = Paths::of(found.names().map(|names| display(&names)));
    let id = file_id(call.namespace(), node.id);
    let (size, content_hash, symlink_info) = match &node.content {
        Content::Directory => return Metadata::Folder(FolderMetadata { name, paths, id }),
        Content::File(file) => (file.size, file.content_hash.to_string(), None),
        Content::Symlink(target) => {
            let target = target.as_str().to_owned();
            (0, EMPTY_HASH.to_owned(), Some(SymlinkInfo { target }))
        }
    };
    let client_modified = node.attributes.mtime.seconds;
    Metadata::File(FileMetadata {
        name,
        paths,
        id,
        client_modified: stone::time(client_modified),
        server_modified: stone::time(modified.unwrap_or(client_modified)),
        rev: rev(call, node),
        is_downloadable: true,
        size,
        content_hash,
        symlink_info,
        media_info: None,
    })
}

/// The revision of a file's state.
pub(crate) fn rev(call: &Call, node: &Node) -> String {
    let rev = Rev {
        namespace: call.namespace(),
        content_seq: node.content_seq,
    };
    rev.to_string()
}

/// What has gone from a path.
pub(crate) fn deleted(names: &[NodeName]) -> Metadata {
    let name: String = names
        .last()
        .map(|name| name.as_str().nfc().collect())
        .unwrap_or_default();
    let paths = Paths::of(Some(display(names)));
    Metadata::Deleted(DeletedMetadata { name, paths })
}

/// A path as people read it, its names composed.
pub(crate) fn display(names: &[NodeName]) -> String {
    let mut path = String::new();
    for name in names {
        path.push('/');
        path.extend(name.as_str().nfc());
    }
    path
}
