//! `copy_reference`: a text that stands for a file or folder until it is put somewhere.
//!
//! It holds all that it needs and is signed, so that any node of a cluster can answer. Whoever is handed one, an app with a
//! folder too, may put a copy of what it stands for where it may write.

use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::node::Content;
use cairn_core::rev::{Rev, Seq};
use cairn_core::time::Timestamp;
use minicbor::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::call::Call;
use super::super::error::{self, ApiError, ApiResult};
use super::super::metadata::{self, Metadata};
use super::super::path;
use super::super::sealed::Seal;
use super::super::stone::{self, tag};
use super::answers::Wrapped;
use crate::service::browse;
use crate::service::files::{FileError, Files, Relocation, Target};

const VERSION: u8 = 1;
const SEAL: Seal = Seal {
    context: "cairn 2026 copy reference v1",
    most_chars: 256,
};
/// Days for which a reference is good.
const DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;
/// How often a copy is tried whose source was changed meanwhile.
const ATTEMPTS: usize = 3;

#[derive(Encode, Decode)]
struct Wire {
    #[n(0)]
    version: u8,
    #[n(1)]
    namespace: i64,
    #[n(2)]
    node: i64,
    /// The state of a file; `None` for a folder, which is copied as it is then.
    #[n(3)]
    content_seq: Option<i64>,
    #[n(4)]
    expires_at_ms: i64,
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct GetReference {
    #[schemars(extend("pattern" = path::READ))]
    path: String,
}

/// A reference.
#[derive(Serialize, JsonSchema)]
pub(in super::super) struct Reference {
    metadata: Metadata,
    copy_reference: String,
    expires: String,
}

/// `files/copy_reference/get`
pub(in super::super) async fn get_reference(call: Call, argument: GetReference) -> ApiResult<Reference> {
    let shape = |error| error::lookup("path", error);
    let target = path::parse(&argument.path, call.namespace()).map_err(|error| error.or(shape))?;
    let found = call.files().find(&target).await.map_err(shape)?;
    let located = metadata::spot(found).ok_or_else(|| shape(FileError::NotFile))?;
    let head = browse::head(&call.state, call.namespace()).await?;
    let expires_at = call.state.runtime.clock.now().plus_millis(DAYS * DAY_MS);
    let is_folder = located.node.content == Content::Directory;
    let wire = Wire {
        version: VERSION,
        namespace: call.namespace().get(),
        node: located.node.id.get(),
        content_seq: (!is_folder).then(|| located.node.content_seq.get()),
        expires_at_ms: expires_at.as_millis(),
    };
    Ok(Reference {
        metadata: metadata::one(&call, &located).await?,
        copy_reference: SEAL.write(&wire, &head.incarnation),
        expires: stone::time(expires_at.as_millis().div_euclid(1_000)),
    })
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct SaveReference {
    copy_reference: String,
    #[schemars(extend("pattern" = path::NEW))]
    path: String,
}

/// `files/copy_reference/save`
pub(in super::super) async fn save_reference(call: Call, argument: SaveReference) -> ApiResult<Wrapped> {
    let shape = |error| match error {
        FileError::NotFound => ApiError::Route(tag("not_found")),
        FileError::TooManyFiles => ApiError::Route(tag("too_many_files")),
        error => error::write("path", error),
    };
    let from = open(&call, &argument.copy_reference).await?;
    let from = from.ok_or_else(|| ApiError::Route(tag("invalid_copy_reference")))?;
    let to = path::parse_new(&argument.path, call.namespace()).map_err(|error| error.or(shape))?;
    let wanted = Relocation {
        from,
        to,
        autorename: false,
    };
    // What it stands for may lie outside the folder of the app that it was handed to.
    let everywhere = Files {
        home: NodeId::ROOT,
        ..call.files()
    };
    let mut attempts = ATTEMPTS;
    let copied = loop {
        let source = everywhere.source(&wanted).await.map_err(shape)?;
        attempts -= 1;
        match call.files().copy_to(source, &wanted).await {
            Err(FileError::NotFound) if attempts > 0 => {}
            copied => break copied.map_err(shape)?,
        }
    };
    let metadata = metadata::one(&call, &copied).await?;
    Ok(Wrapped { metadata })
}

/// What a reference stands for; `None` when it is none, or good no more.
async fn open(call: &Call, text: &str) -> ApiResult<Option<Target>> {
    let head = browse::head(&call.state, call.namespace()).await?;
    let wire = SEAL
        .read::<Wire>(text)
        .and_then(|text| SEAL.prove(text, &head.incarnation));
    let now = call.state.runtime.clock.now();
    let wire = wire.filter(|wire| {
        wire.version == VERSION
            && NamespaceId::new(wire.namespace) == Ok(call.namespace())
            && Timestamp::from_millis(wire.expires_at_ms) > now
    });
    let Some(wire) = wire else { return Ok(None) };
    let state = wire.content_seq.map(Seq::new);
    Ok(match (state, NodeId::new(wire.node)) {
        (None, Ok(node)) => Some(Target::Node {
            node,
            below: Vec::new(),
        }),
        (Some(Some(content_seq)), _) => Some(Target::Revision(Rev {
            namespace: call.namespace(),
            content_seq,
        })),
        _ => None,
    })
}
