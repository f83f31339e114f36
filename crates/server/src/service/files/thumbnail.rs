//! Small pictures of large ones. Kept by content: the same picture anywhere is made small once, as long as the cache has room.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cairn_core::ids::FileId;
use cairn_core::node::FileContent;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use tokio::sync::OwnedSemaphorePermit;

use super::stream::content;
use crate::error::ServiceError;
use crate::memory;
use crate::state::State;

/// Bytes of the longest picture that is looked at.
pub(super) const SOURCE_BYTES: u64 = 32 << 20;
/// Bytes that decoding one may take: some 50 million pixels.
const DECODED_BYTES: u64 = 160 << 20;
/// Pixels of a side.
const SIDE_PIXELS: u32 = 30_000;
/// How long a picture waits for its turn.
const WAIT: Duration = Duration::from_secs(20);
const JPEG_QUALITY: u8 = 85;

/// How a small picture is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// Without transparency: what is transparent becomes white.
    Jpeg,
    /// Lossless.
    Png,
    /// Lossless.
    Webp,
}

/// How a picture is fitted into a size. None is ever made larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fit {
    /// It lies within the size.
    Strict,
    /// It lies within the size, which may be turned on its side.
    Best,
    /// It covers the size, which may be turned on its side.
    Cover,
    /// It keeps its own.
    Original,
}

/// What is wanted of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    /// How it is encoded.
    pub(crate) format: Format,
    /// Pixels from side to side.
    pub(crate) width: u32,
    /// Pixels from top to bottom.
    pub(crate) height: u32,
    /// How it is fitted.
    pub(crate) fit: Fit,
}

/// What small pictures are kept by.
pub(crate) type Key = (FileId, Wanted);

/// Why there is no small picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ThumbnailError {
    /// It is no picture, or a damaged one.
    #[error("it is no picture that can be read")]
    Unsupported,
    /// It is too large.
    #[error("the picture is too large")]
    TooLarge,
    /// The service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Makes a picture small.
pub(crate) async fn thumbnail(
    state: &Arc<State>,
    file: &FileContent,
    wanted: Wanted,
) -> Result<Bytes, ThumbnailError> {
    let key = (file.file_id, wanted);
    if let Some(made) = state.thumbnails.get(&key) {
        return Ok(made);
    }
    if file.size > SOURCE_BYTES {
        return Err(ThumbnailError::TooLarge);
    }
    let (source, _turn) = source(state, file).await?;
    // A decoder that panics has met a picture that it cannot read.
    let work = move || catch_unwind(AssertUnwindSafe(|| shrink(&source, wanted)));
    let made = state.runtime.blocking(work).await;
    let made = Bytes::from(made.unwrap_or(Err(ThumbnailError::Unsupported))?);
    state.thumbnails.insert(key, made.clone());
    Ok(made)
}

/// All bytes of a picture, when it is its turn: it ends with what is returned.
pub(super) async fn source(
    state: &Arc<State>,
    file: &FileContent,
) -> Result<(Bytes, OwnedSemaphorePermit), ServiceError> {
    let turn = memory::acquire(&state.thumbnailing, 1, WAIT).await?;
    let mut source = BytesMut::new();
    let mut blocks = content(state, file.clone(), 0..file.size).await?;
    while let Some(block) = blocks.recv().await {
        source.extend_from_slice(&block?);
    }
    Ok((source.freeze(), turn))
}

/// What a decoder may take.
pub(super) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODED_BYTES);
    limits.max_image_width = Some(SIDE_PIXELS);
    limits.max_image_height = Some(SIDE_PIXELS);
    limits
}

/// Whether what lay on its side is to be set upright.
pub(super) const fn is_turned(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

fn shrink(source: &[u8], wanted: Wanted) -> Result<Vec<u8>, ThumbnailError> {
    let mut reader = ImageReader::new(Cursor::new(source))
        .with_guessed_format()
        .map_err(|_| ThumbnailError::Unsupported)?;
    reader.limits(limits());
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    let is_turned = is_turned(orientation);
    let (width, height) = (picture.width(), picture.height());
    let shown = if is_turned {
        (height, width)
    } else {
        (width, height)
    };
    let fitted = fitted(shown, wanted);
    let (to_width, to_height) = if is_turned { (fitted.1, fitted.0) } else { fitted };
    let mut small =
        match (to_width, to_height) == (width, height) {
            true => picture,
            // Quickly to twice the size, then carefully.
            false if width > 4 * to_width => picture
                .thumbnail_exact(2 * to_width, 2 * to_height)
                .resize_exact(to_width, to_height, FilterType::CatmullRom),
            false => picture.resize_exact(to_width, to_height, FilterType::CatmullRom),
        };
    small.apply_orientation(orientation);
    encode(&small, wanted.format)
}

/// The size that a picture gets.
fn fitted((width, height): (u32, u32), wanted: Wanted) -> (u32, u32) {
    let turned = (wanted.height, wanted.width);
    let lies = (width >= height) == (wanted.width >= wanted.height);
    let (to_width, to_height) = match wanted.fit {
        Fit::Original => return (width, height),
        Fit::Strict => (wanted.width, wanted.height),
        Fit::Best | Fit::Cover if lies => (wanted.width, wanted.height),
        Fit::Best | Fit::Cover => turned,
    };
    let by_width = f64::from(to_width) / f64::from(width.max(1));
    let by_height = f64::from(to_height) / f64::from(height.max(1));
    let scale = match wanted.fit {
        Fit::Cover => by_width.max(by_height),
        _ => by_width.min(by_height),
    };
    let scaled = |side: u32| ((f64::from(side) * scale.min(1.0)).round() as u32).max(1);
    (scaled(width), scaled(height))
}

fn encode(picture: &DynamicImage, format: Format) -> Result<Vec<u8>, ThumbnailError> {
    let mut out = Cursor::new(Vec::new());
    let written = match format {
        Format::Jpeg => {
            let flat = on_white(picture);
            flat.write_with_encoder(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY))
        }
        Format::Png => to_eight_bits(picture).write_to(&mut out, ImageFormat::Png),
        Format::Webp => to_eight_bits(picture).write_to(&mut out, ImageFormat::WebP),
    };
    written.map_err(unreadable)?;
    Ok(out.into_inner())
}

fn to_eight_bits(picture: &DynamicImage) -> DynamicImage {
    match picture.color().has_alpha() {
        true => picture.to_rgba8().into(),
        false => picture.to_rgb8().into(),
    }
}

fn on_white(picture: &DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8().into();
    }
    let mut flat = image::RgbImage::new(picture.width(), picture.height());
    for (x, y, pixel) in picture.to_rgba8().enumerate_pixels() {
        let [red, green, blue, alpha] = pixel.0.map(u32::from);
        let over = |part: u32| ((part * alpha + 255 * (255 - alpha)) / 255) as u8;
        flat.put_pixel(x, y, image::Rgb([over(red), over(green), over(blue)]));
    }
    flat.into()
}

fn unreadable(error: image::ImageError) -> ThumbnailError {
    match error {
        image::ImageError::Limits(_) => ThumbnailError::TooLarge,
        _ => ThumbnailError::Unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn wanted(width: u32, height: u32, fit: Fit) -> Wanted {
        Wanted {
            format: Format::Png,
            width,
            height,
            fit,
        }
    }

    #[test]
    fn pictures_are_fitted_and_never_made_larger() {
        for (size, fit, expected) in [
            ((400, 200), Fit::Strict, (128, 64)),
            ((200, 400), Fit::Strict, (48, 96)),
            ((200, 400), Fit::Best, (64, 128)),
            ((400, 200), Fit::Cover, (192, 96)),
            ((400, 200), Fit::Original, (400, 200)),
            ((10, 20), Fit::Cover, (10, 20)),
            ((30_000, 1), Fit::Strict, (128, 1)),
        ] {
            assert_eq!(fitted(size, wanted(128, 96, fit)), expected, "{size:?} {fit:?}");
        }
    }

    fn png(picture: &DynamicImage) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, ImageFormat::Png).unwrap();
        out.into_inner()
    }

    #[test]
    fn what_is_transparent_becomes_white_where_nothing_can_be() {
        let mut picture = image::RgbaImage::new(32, 32);
        picture.put_pixel(0, 0, image::Rgba([0, 0, 0, 255]));
        let source = png(&picture.into());
        let jpeg = Wanted {
            format: Format::Jpeg,
            ..wanted(32, 32, Fit::Original)
        };
        let made = image::load_from_memory(&shrink(&source, jpeg).unwrap())
            .unwrap()
            .to_rgb8();
        assert!(made.get_pixel(31, 31).0.iter().all(|part| *part > 250));
        let made = image::load_from_memory(&shrink(&source, wanted(32, 32, Fit::Original)).unwrap()).unwrap();
        assert_eq!(made.to_rgba8().get_pixel(31, 31).0[3], 0);
    }

    #[test]
    fn a_camera_that_was_turned_is_turned_back() {
        // A TIFF block of one entry: orientation 6, a quarter turn clockwise.
        let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        let mut jpeg = Cursor::new(Vec::new());
        let picture = image::RgbImage::from_fn(60, 20, |x, _| image::Rgb([if x < 30 { 255 } else { 0 }; 3]));
        DynamicImage::from(picture)
            .write_to(&mut jpeg, ImageFormat::Jpeg)
            .unwrap();
        let jpeg = jpeg.into_inner();
        let mut source = jpeg[..2].to_vec();
        source.extend_from_slice(&[0xff, 0xe1]);
        source.extend_from_slice(&(exif.len() as u16 + 2).to_be_bytes());
        source.append(&mut exif);
        source.extend_from_slice(&jpeg[2..]);
        let made = shrink(&source, wanted(30, 30, Fit::Strict)).unwrap();
        let made = image::load_from_memory(&made).unwrap().to_rgb8();
        assert_eq!((made.width(), made.height()), (10, 30));
        assert!(made.get_pixel(5, 2).0[0] > 200 && made.get_pixel(5, 27).0[0] < 50);
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_refused() {
        for nonsense in [&b""[..], b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a"] {
            assert!(matches!(
                shrink(nonsense, wanted(8, 8, Fit::Strict)),
                Err(ThumbnailError::Unsupported)
            ));
        }
        let wide = png(&DynamicImage::new_luma8(30_001, 1));
        assert!(matches!(
            shrink(&wide, wanted(8, 8, Fit::Strict)),
            Err(ThumbnailError::TooLarge)
        ));
    }
}
