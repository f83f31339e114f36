//! When two names in a folder are one.

use std::ffi::{OsStr, OsString};
use std::io;

use unicode_normalization::UnicodeNormalization;

use super::DiskOptions;

/// Bytes of a name.
const NAME_BYTES: usize = 255;

/// What a folder finds a name by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(Vec<u8>);

/// The name as the disk keeps it.
pub(super) fn kept(options: &DiskOptions, name: &OsStr) -> OsString {
    match name.to_str() {
        Some(text) if options.normalises_nfd && !text.is_ascii() => text.nfd().collect::<String>().into(),
        _ => name.to_owned(),
    }
}

/// The key of a name.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for what is no name, [`io::ErrorKind::InvalidFilename`] for one that is too long.
pub(super) fn key(options: &DiskOptions, name: &OsStr) -> io::Result<Key> {
    let bytes = name.as_encoded_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.iter().any(|b| matches!(b, b'/' | 0)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let kept = kept(options, name);
    if kept.len() > NAME_BYTES {
        return Err(io::Error::from(io::ErrorKind::InvalidFilename));
    }
    let folded = match kept.to_str() {
        Some(text) if options.case_folding => {
            let lower = text.to_lowercase();
            if options.normalises_nfd {
                lower.nfd().collect::<String>().into()
            } else {
                lower.into()
            }
        }
        _ => kept,
    };
    Ok(Key(folded.into_encoded_bytes()))
}
