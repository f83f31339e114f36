//! What a picture tells of itself: how large it is, where and when it was taken. Kept by content, as small pictures are.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cairn_core::node::FileContent;
use exif::{Exif, In, Rational, Reader, Tag, Value};
use image::metadata::Orientation;
use image::{ImageDecoder, ImageReader};
use time::{Date, Month, PrimitiveDateTime, Time, UtcOffset};

use super::thumbnail::{SOURCE_BYTES, is_turned, limits, source};
use crate::error::ServiceError;
use crate::state::State;

/// What is known of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Picture {
    /// Pixels from side to side, as it is shown.
    pub(crate) width: u32,
    /// Pixels from top to bottom.
    pub(crate) height: u32,
    /// Degrees to the north and to the east.
    pub(crate) location: Option<(f64, f64)>,
    /// Seconds since 1970; of a camera that does not tell its time zone, as if that were UTC.
    pub(crate) taken: Option<i64>,
}

/// Looks at a picture; `None` when it is none, is damaged or too large.
pub(crate) async fn picture(state: &Arc<State>, file: &FileContent) -> Result<Option<Picture>, ServiceError> {
    if file.size > SOURCE_BYTES {
        return Ok(None);
    }
    if let Some(known) = state.pictures.get(&file.file_id) {
        return Ok(known);
    }
    let (source, turn) = source(state, file).await?;
    // A decoder that panics has met a picture that it cannot read.
    let work = move || catch_unwind(AssertUnwindSafe(|| look(&source))).ok().flatten();
    let found = state.runtime.blocking(work).await;
    drop(turn);
    state.pictures.insert(file.file_id, found);
    Ok(found)
}

fn look(source: &[u8]) -> Option<Picture> {
    let mut reader = ImageReader::new(Cursor::new(source)).with_guessed_format().ok()?;
    reader.limits(limits());
    let mut decoder = reader.into_decoder().ok()?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let (width, height) = decoder.dimensions();
    let (width, height) = match is_turned(orientation) {
        true => (height, width),
        false => (width, height),
    };
    let exif = decoder.exif_metadata().ok().flatten();
    let exif = exif.and_then(|block| Reader::new().read_raw(block).ok());
    Some(Picture {
        width,
        height,
        location: exif.as_ref().and_then(location),
        taken: exif.as_ref().and_then(taken),
    })
}

fn location(exif: &Exif) -> Option<(f64, f64)> {
    let latitude = degrees(exif, Tag::GPSLatitude, Tag::GPSLatitudeRef, b'S', 90.0)?;
    let longitude = degrees(exif, Tag::GPSLongitude, Tag::GPSLongitudeRef, b'W', 180.0)?;
    Some((latitude, longitude))
}

/// Degrees, minutes and seconds as one number; `negative` is the letter of the half of the earth that is below zero.
fn degrees(exif: &Exif, tag: Tag, half: Tag, negative: u8, most: f64) -> Option<f64> {
    let Value::Rational(parts) = &exif.get_field(tag, In::PRIMARY)?.value else {
        return None;
    };
    let part = |index: usize| parts.get(index).map_or(0.0, Rational::to_f64);
    let size = part(0) + part(1) / 60.0 + part(2) / 3_600.0;
    // What a camera without a signal writes is no number, or nothing of the earth.
    if parts.is_empty() || !(0.0..=most).contains(&size) {
        return None;
    }
    match ascii(exif, half)?.first()?.to_ascii_uppercase() {
        letter if letter == negative => Some(-size),
        _ => Some(size),
    }
}

fn taken(exif: &Exif) -> Option<i64> {
    let (text, offset) = match ascii(exif, Tag::DateTimeOriginal) {
        Some(text) => (text, Tag::OffsetTimeOriginal),
        None => (ascii(exif, Tag::DateTimeDigitized)?, Tag::OffsetTimeDigitized),
    };
    let read = exif::DateTime::from_ascii(text).ok()?;
    let month = Month::try_from(read.month).ok()?;
    let date = Date::from_calendar_date(i32::from(read.year), month, read.day).ok()?;
    let time = Time::from_hms(read.hour, read.minute, read.second).ok()?;
    let zone = ascii(exif, offset).and_then(zone).unwrap_or(UtcOffset::UTC);
    let taken = PrimitiveDateTime::new(date, time).assume_offset(zone);
    Some(taken.unix_timestamp())
}

/// A time zone, as `+02:00`.
fn zone(text: &[u8]) -> Option<UtcOffset> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let part = |text: &str| text.parse::<i8>().ok().filter(|number| *number >= 0);
    UtcOffset::from_hms(sign * part(hours)?, sign * part(minutes)?, 0).ok()
}

fn ascii(exif: &Exif, tag: Tag) -> Option<&[u8]> {
    match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(texts) => texts.first().map(Vec::as_slice),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use exif::Field;
    use exif::experimental::Writer;
    use image::{DynamicImage, ImageFormat};

    use super::*;

    fn text(tag: Tag, text: &str) -> (Tag, Value) {
        (tag, Value::Ascii(vec![text.as_bytes().to_vec()]))
    }

    fn rationals(tag: Tag, parts: &[(u32, u32)]) -> (Tag, Value) {
        let parts = parts.iter().map(|(num, denom)| Rational {
            num: *num,
            denom: *denom,
        });
        (tag, Value::Rational(parts.collect()))
    }

    /// A JPEG of 60 by 20 pixels, whose camera has written this.
    fn jpeg(fields: Vec<(Tag, Value)>) -> Vec<u8> {
        let fields = fields.into_iter().map(|(tag, value)| Field {
            tag,
            ifd_num: In::PRIMARY,
            value,
        });
        let fields: Vec<Field> = fields.collect();
        let mut block = Cursor::new(Vec::new());
        let mut writer = Writer::new();
        for field in &fields {
            writer.push_field(field);
        }
        writer.write(&mut block, false).unwrap();
        let exif = [&b"Exif\0\0"[..], block.get_ref()].concat();
        let mut plain = Cursor::new(Vec::new());
        DynamicImage::new_luma8(60, 20)
            .write_to(&mut plain, ImageFormat::Jpeg)
            .unwrap();
        let plain = plain.into_inner();
        let length = (exif.len() as u16 + 2).to_be_bytes();
        [&plain[..2], &[0xff, 0xe1], &length, &exif, &plain[2..]].concat()
    }

    #[test]
    fn a_camera_tells_where_and_when() {
        let source = jpeg(vec![
            (Tag::Orientation, Value::Short(vec![6])),
            text(Tag::DateTimeOriginal, "2026:07:01 12:30:00"),
            text(Tag::OffsetTimeOriginal, "-02:30"),
            rationals(Tag::GPSLatitude, &[(33, 1), (51, 1), (3_600, 100)]),
            text(Tag::GPSLatitudeRef, "S"),
            rationals(Tag::GPSLongitude, &[(151, 1), (12, 1), (0, 1)]),
            text(Tag::GPSLongitudeRef, "E"),
        ]);
        let found = look(&source).unwrap();
        // It was held upright.
        assert_eq!((found.width, found.height), (20, 60));
        assert_eq!(found.taken, Some(1_782_918_000));
        let (latitude, longitude) = found.location.unwrap();
        assert!((latitude + 33.86).abs() < 1e-9 && (longitude - 151.2).abs() < 1e-9);
    }

    #[test]
    fn what_a_camera_does_not_know_is_not_told() {
        for fields in [
            vec![text(Tag::Make, "nobody")],
            vec![text(Tag::DateTimeOriginal, "0000:00:00 00:00:00")],
            vec![text(Tag::DateTimeOriginal, "    :  :     :  :  ")],
            vec![
                rationals(Tag::GPSLatitude, &[(33, 1)]),
                text(Tag::GPSLatitudeRef, "N"),
            ],
            vec![
                rationals(Tag::GPSLatitude, &[(0, 0), (0, 0), (0, 0)]),
                text(Tag::GPSLatitudeRef, "N"),
                rationals(Tag::GPSLongitude, &[(181, 1)]),
                text(Tag::GPSLongitudeRef, "E"),
            ],
            // Which half of the earth?
            vec![
                rationals(Tag::GPSLatitude, &[(1, 1)]),
                rationals(Tag::GPSLongitude, &[(1, 1)]),
            ],
        ] {
            let found = look(&jpeg(fields)).unwrap();
            let expected = Picture {
                width: 60,
                height: 20,
                location: None,
                taken: None,
            };
            assert_eq!(found, expected);
        }
        let local = jpeg(vec![text(Tag::DateTimeDigitized, "1970:01:01 00:01:00")]);
        assert_eq!(look(&local).unwrap().taken, Some(60));
    }

    #[test]
    fn what_is_no_picture_tells_nothing() {
        let whole = jpeg(vec![text(Tag::Make, "somebody")]);
        for length in [0, 2, 40, 90] {
            assert_eq!(look(&whole[..length]), None, "{length}");
        }
        assert_eq!(look(b"hello"), None);
    }
}
