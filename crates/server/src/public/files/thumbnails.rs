//! `get_thumbnail`: small pictures.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cairn_core::node::{Content, FileContent, Node};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::super::call::{Call, header_json};
use super::super::error::{ApiError, ApiResult};
use super::super::metadata;
use super::super::path;
use super::super::stone::{self, Union, tag};
use super::answers::{Entries, Entry, Preview, Thumbnail, ThumbnailMade};
use super::read::{RESULT, file};
use crate::service::files::{Fit, Format, Located, ThumbnailError, Wanted, thumbnail};

/// Pictures of one batch, as Dropbox has it.
const MOST_ENTRIES: usize = 25;
/// What is looked at; the name decides, as with Dropbox.
const EXTENSIONS: [&str; 8] = [".jpg", ".jpeg", ".png", ".gif", ".webp", ".tif", ".tiff", ".bmp"];

/// A fixed ladder of sizes: the cache is not filled with those in between.
const SIZES: [(&str, u32, u32); 10] = [
    ("w32h32", 32, 32),
    ("w64h64", 64, 64),
    ("w128h128", 128, 128),
    ("w256h256", 256, 256),
    ("w480h320", 480, 320),
    ("w640h480", 640, 480),
    ("w960h640", 960, 640),
    ("w1024h768", 1024, 768),
    ("w2048h1536", 2048, 1536),
    ("w3200h2400", 3200, 2400),
];

/// How a picture is to be made small.
#[derive(Deserialize, JsonSchema)]
struct Shape {
    #[schemars(schema_with = "format_shape")]
    #[serde(default)]
    format: Option<Union>,
    #[schemars(schema_with = "size_shape")]
    #[serde(default)]
    size: Option<Union>,
    #[schemars(schema_with = "mode_shape")]
    #[serde(default)]
    mode: Option<Union>,
}

fn format_shape(_: &mut SchemaGenerator) -> Schema {
    stone::one_of(&["jpeg", "png", "webp"])
}

fn size_shape(_: &mut SchemaGenerator) -> Schema {
    stone::one_of(&SIZES.map(|(name, _, _)| name))
}

fn mode_shape(_: &mut SchemaGenerator) -> Schema {
    stone::one_of(&["strict", "bestfit", "fitone_bestfit", "original"])
}

fn resource_shape(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            ".tag": { "const": "path" },
            "path": { "type": "string", "pattern": path::READ },
        },
        "required": [".tag", "path"],
    })
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct GetThumbnail {
    #[schemars(extend("pattern" = path::READ))]
    path: String,
    #[serde(flatten)]
    shape: Shape,
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct GetThumbnailV2 {
    #[schemars(schema_with = "resource_shape")]
    resource: Union,
    #[serde(flatten)]
    shape: Shape,
}

/// `files/get_thumbnail`
pub(in super::super) async fn get_thumbnail(call: Call, argument: GetThumbnail) -> ApiResult<Response> {
    let (located, picture, wanted) = make(&call, &argument.path, &argument.shape).await?;
    let result = metadata::tagged_file(&call, &located).await?;
    Ok(respond(picture, wanted, &result))
}

/// `files/get_thumbnail_v2`
pub(in super::super) async fn get_thumbnail_v2(call: Call, argument: GetThumbnailV2) -> ApiResult<Response> {
    let path = match argument.resource.tag() {
        "path" => argument.resource.text("path").unwrap_or_default(),
        _ => {
            return Err(ApiError::BadInput(
                "resource: this server has no shared links yet".into(),
            ));
        }
    };
    let (located, picture, wanted) = make(&call, path, &argument.shape).await?;
    let file_metadata = metadata::tagged_file(&call, &located).await?;
    let result = Preview { file_metadata };
    Ok(respond(picture, wanted, &result))
}

#[derive(Deserialize, JsonSchema)]
pub(in super::super) struct Batch {
    #[schemars(length(max = MOST_ENTRIES))]
    entries: Vec<GetThumbnail>,
}

/// `files/get_thumbnail_batch`
pub(in super::super) async fn batch(call: Call, argument: Batch) -> ApiResult<Entries<ThumbnailMade>> {
    if argument.entries.len() > MOST_ENTRIES {
        return Err(ApiError::Route(tag("too_many_files")));
    }
    let mut entries = Vec::with_capacity(argument.entries.len());
    for entry in argument.entries {
        let made = async {
            let (located, picture, _) = make(&call, &entry.path, &entry.shape).await?;
            let metadata = metadata::tagged_file(&call, &located).await?;
            let thumbnail = STANDARD.encode(picture);
            Ok(Thumbnail { metadata, thumbnail })
        };
        entries.push(Entry::of(made.await)?);
    }
    Ok(Entries { entries })
}

/// The content of what is called a picture.
pub(in super::super) fn picture_of(node: &Node) -> Option<&FileContent> {
    let name = node.place.name.key();
    let is_picture = EXTENSIONS
        .iter()
        .any(|extension| name.as_str().ends_with(extension));
    match &node.content {
        Content::File(file) if is_picture => Some(file),
        _ => None,
    }
}

async fn make(call: &Call, path: &str, shape: &Shape) -> ApiResult<(Located, Bytes, Wanted)> {
    let wanted = shape.wanted()?;
    let located = file(call, path).await?;
    let content = picture_of(&located.node);
    let content = content.ok_or_else(|| ApiError::Route(tag("unsupported_extension")))?;
    let made = thumbnail(&call.state, content, wanted).await;
    let made = made.map_err(|error| match error {
        ThumbnailError::Unsupported => ApiError::Route(tag("unsupported_image")),
        ThumbnailError::TooLarge => ApiError::Route(tag("conversion_error")),
        ThumbnailError::Service(error) => error.into(),
    })?;
    Ok((located, made, wanted))
}

impl Shape {
    fn wanted(&self) -> ApiResult<Wanted> {
        let tag_of = |union: &Option<Union>, usual: &str| union.as_ref().map_or(usual, Union::tag).to_owned();
        let (format, size, mode) = (
            tag_of(&self.format, "jpeg"),
            tag_of(&self.size, "w64h64"),
            tag_of(&self.mode, "strict"),
        );
        let format = match format.as_str() {
            "jpeg" => Format::Jpeg,
            "png" => Format::Png,
            "webp" => Format::Webp,
            other => return Err(ApiError::BadInput(format!("format: {other:?} is none"))),
        };
        let fit = match mode.as_str() {
            "strict" => Fit::Strict,
            "bestfit" => Fit::Best,
            "fitone_bestfit" => Fit::Cover,
            "original" => Fit::Original,
            other => return Err(ApiError::BadInput(format!("mode: {other:?} is none"))),
        };
        let (_, width, height) = SIZES
            .into_iter()
            .find(|(name, _, _)| *name == size)
            .ok_or_else(|| ApiError::BadInput(format!("size: {size:?} is none")))?;
        Ok(Wanted {
            format,
            width,
            height,
            fit,
        })
    }
}

fn respond(picture: Bytes, wanted: Wanted, result: &impl Serialize) -> Response {
    let kind = match wanted.format {
        Format::Jpeg => "image/jpeg",
        Format::Png => "image/png",
        Format::Webp => "image/webp",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    let mut response = (headers, Body::from(picture)).into_response();
    if let Ok(value) = HeaderValue::from_str(&header_json(result)) {
        response.headers_mut().insert(RESULT, value);
    }
    response
}
