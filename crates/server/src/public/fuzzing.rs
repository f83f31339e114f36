//! What the fuzzer drives: readers of what clients send, each with what must hold of everything that it takes. Built for
//! `cargo xtask fuzz`, and for a short run in the tests.

use axum::http::{HeaderValue, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_core::ids::{Incarnation, NamespaceId};
use cairn_core::name::NodeName;
use serde_json::Value;

use super::call::{header_argument, header_json};
use super::cursor::{self, ListCursor};
use super::range::{self, Wanted};
use super::{files, path};
use crate::service::files::Target;

/// A path that is taken is written back as one that names the same, and leads nowhere but down.
pub fn paths(text: &str) {
    let Ok(namespace) = NamespaceId::new(42) else {
        return;
    };
    for parse in [path::parse, path::parse_folder, path::parse_new] {
        let Ok(target) = parse(text, namespace) else {
            continue;
        };
        let written = match &target {
            Target::Path(names) => joined("", names),
            Target::Node { node, below } => joined(&path::file_id(namespace, *node), below),
            Target::Revision(rev) => format!("rev:{rev}"),
        };
        let again = match written.as_str() {
            // Only a folder's reader has a name for the root.
            "" => Ok(Target::Path(Vec::new())),
            written => parse(written, namespace),
        };
        assert_eq!(again.ok(), Some(target), "{written:?}");
    }
}

fn joined(front: &str, names: &[NodeName]) -> String {
    let mut text = front.to_owned();
    for name in names {
        let name = name.as_str();
        assert!(!["", ".", ".."].contains(&name) && !name.contains(['/', '\\', '\0']));
        text.push('/');
        text.push_str(name);
    }
    text
}

/// A text is no cursor but by its signature, and what was signed is read back as it is written.
pub fn cursors(bytes: &[u8]) {
    let (life, other) = (Incarnation::new([7; 16]), Incarnation::new([8; 16]));
    let text = String::from_utf8_lossy(bytes);
    let _ = cursor::claimed_namespace(&text);
    assert_eq!(ListCursor::open(&text, &life), None);
    assert_eq!(ListCursor::open(&URL_SAFE_NO_PAD.encode(bytes), &life), None);
    let signed = cursor::signed(bytes, &life);
    assert_eq!(ListCursor::open(&signed, &other), None);
    if let Some(cursor) = ListCursor::open(&signed, &life) {
        assert_eq!(cursor::claimed_namespace(&signed), Some(cursor.namespace));
        assert_eq!(ListCursor::open(&cursor.seal(&life), &life), Some(cursor));
    }
}

/// An argument in a header, or in the address, is read as one in a body is, and what is written for a header is read back.
pub fn arguments(bytes: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(bytes)
        && let Ok(request) = Request::get("/").header("dropbox-api-arg", value).body(())
    {
        let (parts, ()) = request.into_parts();
        if let Ok(value) = header_argument::<Value>(&parts) {
            let written = header_json(&value);
            assert!(written.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            // A fraction is not read back to the last bit, and stands in no header that the server writes.
            if !has_fraction(&value) {
                assert_eq!(serde_json::from_str::<Value>(&written).ok(), Some(value));
            }
        }
        files::read_any(&parts);
        for size in [0, 1, 1_000] {
            let text = str::from_utf8(bytes).ok();
            if let Wanted::Part(part) = range::parse(text, size) {
                assert!(part.start < part.end && part.end <= size, "{part:?}");
            }
        }
    }
    let query: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
    if let Ok(request) = Request::get(format!("/?arg={query}")).body(()) {
        let (parts, ()) = request.into_parts();
        let _ = header_argument::<Value>(&parts);
        files::read_any(&parts);
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// Each input that the fuzzer begins with, and each that once crashed it.
    fn seeds(target: &str, read: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/seeds")
            .join(target);
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap() {
            read(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0);
    }

    #[test]
    fn seeds_hold() {
        seeds("api_path", |bytes| paths(str::from_utf8(bytes).unwrap()));
        seeds("api_cursor", cursors);
        seeds("api_argument", arguments);
        // The seeds are cursors indeed.
        let life = Incarnation::new([7; 16]);
        let seed = include_bytes!("../../../../fuzz/seeds/api_cursor/arriving");
        assert!(ListCursor::open(&cursor::signed(seed, &life), &life).is_some());
    }

    proptest! {
        #[test]
        fn any_path_holds(text in "(|//?|id:|rev:|ns:|ns:42)[/a.\\\\\u{e9}e\u{301}A0-9f]{0,40}", any in ".{0,40}") {
            paths(&text);
            paths(&any);
        }

        #[test]
        fn any_cursor_holds(mut bytes in prop::sample::select(vec![
            include_bytes!("../../../../fuzz/seeds/api_cursor/arriving").to_vec(),
            include_bytes!("../../../../fuzz/seeds/api_cursor/listing").to_vec(),
        ]), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            *at.get_mut(&mut bytes) = byte;
            cursors(&bytes);
            cursors(&bytes[..cut.index(bytes.len())]);
        }

        #[test]
        fn any_argument_holds(text in "[\\[\\]{}\":,a\u{e9}0-9.e\\\\u-]{0,40}", any: Vec<u8>) {
            arguments(text.as_bytes());
            arguments(&any);
        }
    }
}
