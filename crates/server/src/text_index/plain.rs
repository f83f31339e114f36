//! Texts that are no documents: notes, source code, tables.

/// Bytes by which a text is told from anything else.
pub(super) const BEGINNING_BYTES: usize = 8 << 10;

/// Whether a file that begins so is a text.
pub(super) fn is_text(beginning: &[u8]) -> bool {
    text_of(&beginning[..beginning.len().min(BEGINNING_BYTES)]).is_some()
}

/// The text that bytes are, which may have been cut in the middle of a letter: UTF-8, or UTF-16 with a mark of its order.
pub(super) fn text_of(bytes: &[u8]) -> Option<String> {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest)?.to_owned(),
        _ => utf8(bytes)?.to_owned(),
    };
    (!text.contains('\0')).then_some(text)
}

fn utf8(bytes: &[u8]) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        // Only the last letter may lack something.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
        Err(_) => None,
    }
}

fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> String {
    let units = bytes.as_chunks().0.iter().map(|pair| unit(*pair));
    char::decode_utf16(units)
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_from_bytes() {
        assert_eq!(text_of(b"plain").as_deref(), Some("plain"));
        assert_eq!(
            text_of("h\u{e9}".as_bytes().split_last().unwrap().1).as_deref(),
            Some("h")
        );
        assert_eq!(text_of(b"\xef\xbb\xbfmarked").as_deref(), Some("marked"));
        assert_eq!(text_of(b"\xff\xfeh\0i\0").as_deref(), Some("hi"));
        assert_eq!(text_of(b"\xfe\xff\0h\0i").as_deref(), Some("hi"));
        assert_eq!(text_of(b"a\0b"), None);
        assert_eq!(text_of(b"\x89PNG\r\n"), None);
        assert!(is_text(&[b'x'; 2 * BEGINNING_BYTES]));
    }
}
