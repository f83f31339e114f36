//! Files and folders as clients see them.

use cairn_core::name::NodeName;
use cairn_core::node::{Content, FileContent, Node};
use cairn_core::rev::Rev;
use serde_json::{Map, Value, json};
use unicode_normalization::UnicodeNormalization;

use super::call::Call;
use super::error::{ApiResult, flattened};
use super::path::file_id;
use super::stone;
use crate::service::files::{Located, Spot};

/// The hash of no bytes: what a symbolic link is said to hold.
const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// One thing with its tag.
pub(crate) async fn one(call: &Call, located: &Located) -> ApiResult<Value> {
    let mut all = many(call, std::slice::from_ref(located)).await?;
    Ok(all.pop().unwrap_or_default())
}

/// Things with their tags, in order.
pub(crate) async fn many(call: &Call, located: &[Located]) -> ApiResult<Vec<Value>> {
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

fn describe(call: &Call, found: &Located, modified: Option<i64>) -> Value {
    let node = &found.node;
    let mut fields = Map::new();
    let name: String = node.place.name.as_str().nfc().collect();
    fields.insert("name".into(), name.into());
    if let Some(names) = found.names() {
        let path = display(&names);
        fields.insert("path_lower".into(), path.to_lowercase().into());
        fields.insert("path_display".into(), path.into());
    }
    fields.insert("id".into(), file_id(call.namespace(), node.id).into());
    match &node.content {
        Content::Directory => flattened("folder", fields),
        Content::File(file) => {
            put_file(&mut fields, call, node, modified);
            put_content(&mut fields, file);
            flattened("file", fields)
        }
        Content::Symlink(target) => {
            put_file(&mut fields, call, node, modified);
            fields.insert("size".into(), 0.into());
            fields.insert("content_hash".into(), EMPTY_HASH.into());
            fields.insert("symlink_info".into(), json!({ "target": target.as_str() }));
            flattened("file", fields)
        }
    }
}

fn put_file(fields: &mut Map<String, Value>, call: &Call, node: &Node, modified: Option<i64>) {
    let client_modified = node.attributes.mtime.seconds;
    let server_modified = modified.unwrap_or(client_modified);
    fields.insert("client_modified".into(), stone::time(client_modified).into());
    fields.insert("server_modified".into(), stone::time(server_modified).into());
    fields.insert("rev".into(), rev(call, node).into());
    fields.insert("is_downloadable".into(), true.into());
}

fn put_content(fields: &mut Map<String, Value>, file: &FileContent) {
    fields.insert("size".into(), file.size.into());
    fields.insert("content_hash".into(), file.content_hash.to_string().into());
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
pub(crate) fn deleted(names: &[NodeName]) -> Value {
    let path = display(names);
    let name: String = names
        .last()
        .map(|name| name.as_str().nfc().collect())
        .unwrap_or_default();
    json!({ ".tag": "deleted", "name": name, "path_lower": path.to_lowercase(), "path_display": path })
}

/// A path as people read it, its names composed.
fn display(names: &[NodeName]) -> String {
    let mut path = String::new();
    for name in names {
        path.push('/');
        path.extend(name.as_str().nfc());
    }
    path
}
