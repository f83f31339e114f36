//! What a picture tells of itself, as clients see it.

use cairn_core::node::Node;
use schemars::JsonSchema;
use serde::Serialize;

use super::call::Call;
use super::error::ApiResult;
use super::files::picture_of;
use super::stone;
use crate::error::ServiceError;
use crate::service::files::{Picture, picture};

/// What is known of a picture, or that the server has no time to look now.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub(crate) enum MediaInfo {
    Pending,
    Metadata { metadata: MediaMetadata },
}

/// What is known of a picture.
#[derive(Serialize, JsonSchema)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub(crate) enum MediaMetadata {
    Photo(PhotoMetadata),
}

/// What is known of a photograph.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PhotoMetadata {
    dimensions: Dimensions,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<GpsCoordinates>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_taken: Option<String>,
}

/// Pixels, as it is shown.
#[derive(Serialize, JsonSchema)]
struct Dimensions {
    height: u32,
    width: u32,
}

/// Degrees.
#[derive(Serialize, JsonSchema)]
struct GpsCoordinates {
    latitude: f64,
    longitude: f64,
}

/// What a file tells of itself; nothing of what is no picture.
pub(super) async fn info(call: &Call, node: &Node) -> ApiResult<Option<MediaInfo>> {
    let Some(content) = picture_of(node) else {
        return Ok(None);
    };
    match picture(&call.state, content).await {
        Ok(found) => Ok(found.map(|found| MediaInfo::Metadata {
            metadata: MediaMetadata::Photo(photo(found)),
        })),
        Err(ServiceError::Busy { .. }) => Ok(Some(MediaInfo::Pending)),
        Err(error) => Err(error.into()),
    }
}

fn photo(picture: Picture) -> PhotoMetadata {
    PhotoMetadata {
        dimensions: Dimensions {
            height: picture.height,
            width: picture.width,
        },
        location: picture
            .location
            .map(|(latitude, longitude)| GpsCoordinates { latitude, longitude }),
        time_taken: picture.taken.map(stone::time),
    }
}
