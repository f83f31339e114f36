//! The text that a document holds: office documents (OOXML, OpenDocument) and PDF.
//!
//! What a document is, its bytes say, not its name. Documents are made by strangers: whoever calls this runs it in a process of
//! its own, with bounds on memory and time, since the readers of others may panic, loop, or overflow the stack. What was read
//! before something went wrong is kept.

mod office;
mod pdf;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The text of a document, at most `max_bytes` of it; `None` when it is no document that is known, or holds no text.
pub fn text_of(document: &[u8], max_bytes: usize) -> Option<String> {
    let read = match () {
        () if document.starts_with(b"PK\x03\x04") => office::read,
        () if is_pdf(document) => pdf::read,
        () => return None,
    };
    let mut text = Text::new(max_bytes);
    // A reader that panics has met a document that it cannot read; what it has found until then is text.
    let _: Result<(), _> = catch_unwind(AssertUnwindSafe(|| read(document, &mut text)));
    Some(text.text).filter(|text| !text.trim().is_empty())
}

/// Whether bytes begin as a document does whose text [`text_of`] may know; the first kilobyte tells.
pub fn is_document(beginning: &[u8]) -> bool {
    beginning.starts_with(b"PK\x03\x04") || is_pdf(beginning)
}

/// Some programs write something before the header.
fn is_pdf(beginning: &[u8]) -> bool {
    let beginning = &beginning[..beginning.len().min(1_024)];
    beginning.windows(5).any(|window| window == b"%PDF-")
}

/// A text that grows up to a bound.
struct Text {
    text: String,
    max_bytes: usize,
}

impl Text {
    const fn new(max_bytes: usize) -> Self {
        Self {
            text: String::new(),
            max_bytes,
        }
    }

    /// Adds as much as has room; false when the rest has none.
    fn push(&mut self, more: &str) -> bool {
        let room = self.max_bytes - self.text.len();
        self.text.push_str(&more[..more.floor_char_boundary(room)]);
        more.len() <= room
    }

    /// Ends a word, if one was begun.
    fn end_word(&mut self) -> bool {
        self.text.is_empty() || self.text.ends_with(char::is_whitespace) || self.push(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_letters() {
        let mut text = Text::new(4);
        assert!(text.push("aé"));
        assert!(!text.push("éé"));
        assert_eq!(text.text, "aé");
    }

    #[test]
    fn what_is_no_document_has_no_text() {
        for nonsense in [
            &b""[..],
            b"plain text",
            b"\x89PNG\r\n\x1a\n",
            b"PK\x03\x04 and no more",
            b"%PDF-1.7 and no more",
        ] {
            assert_eq!(text_of(nonsense, 1_000), None, "{nonsense:?}");
        }
    }
}
