//! The ways in which clients name a file: `/a/b`, `id:…`, `rev:…`, `ns:…`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::limits;
use cairn_core::name::{NameError, NodeName};
use cairn_core::rev::Rev;

use super::error::ApiError;
use crate::service::files::{FileError, Target};

/// What names something that there is.
pub(crate) const READ: &str =
    "^(/(.|[\\r\\n])*|id:[^/](.|[\\r\\n])*|rev:[0-9a-f]{9,}|ns:[0-9]+(/(.|[\\r\\n])*)?)$";
/// The same for a folder: the root is the empty text.
pub(crate) const FOLDER: &str =
    "^(|/(.|[\\r\\n])+|id:[^/](.|[\\r\\n])*|rev:[0-9a-f]{9,}|ns:[0-9]+(/(.|[\\r\\n])*)?)$";
/// What names a place.
pub(crate) const NEW: &str = "^(/(.|[\\r\\n])*|id:[^/](.|[\\r\\n])*|ns:[0-9]+(/(.|[\\r\\n])*)?)$";
/// What names a state of a file.
pub(crate) const REV: &str = "^[0-9a-f]{9,}$";

/// Why a text names nothing.
#[derive(Debug)]
pub(crate) enum PathError {
    /// It is none of the forms: the program is wrong.
    Pattern(String),
    /// It has a form, but there is no such thing, or the path cannot be one.
    File(FileError),
}

impl PathError {
    /// As the route's own error, or as a text for programmers.
    pub(crate) fn or(self, shape: impl FnOnce(FileError) -> ApiError) -> ApiError {
        match self {
            Self::Pattern(what) => ApiError::BadInput(what),
            Self::File(error) => shape(error),
        }
    }
}

/// The id of a node as clients see it: 22 letters of base64 over namespace and node.
pub(crate) fn file_id(namespace: NamespaceId, node: NodeId) -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&namespace.get().to_be_bytes());
    bytes[8..].copy_from_slice(&node.get().to_be_bytes());
    format!("id:{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Reads any form. `namespace` is the account's own.
pub(crate) fn parse(text: &str, namespace: NamespaceId) -> Result<Target, PathError> {
    let not_found = || PathError::File(FileError::NotFound);
    if let Some(rev) = text.strip_prefix("rev:") {
        return Ok(Target::Revision(parse_rev(rev)?));
    }
    if let Some(rest) = text.strip_prefix("id:") {
        let (id, below) = rest
            .split_once('/')
            .map_or((rest, None), |(id, below)| (id, Some(below)));
        if id.is_empty() {
            return Err(PathError::Pattern(format!("path: {text:?} is no id")));
        }
        let node = node_of(id, namespace).ok_or_else(not_found)?;
        let below = below.map_or(Ok(Vec::new()), names)?;
        return Ok(Target::Node { node, below });
    }
    if let Some(rest) = text.strip_prefix("ns:") {
        let (number, path) = rest
            .split_once('/')
            .map_or((rest, None), |(number, path)| (number, Some(path)));
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PathError::Pattern(format!("path: {text:?} names no namespace")));
        }
        if number.parse() != Ok(namespace.get()) {
            return Err(not_found());
        }
        return Ok(Target::Path(path.map_or(Ok(Vec::new()), names)?));
    }
    match text.strip_prefix('/') {
        Some(path) => Ok(Target::Path(names(path)?)),
        None => Err(PathError::Pattern(format!(
            "path: {text:?} did not match pattern '(/(.|[\\r\\n])*)|(id:.*)|(rev:[0-9a-f]{{9,}})|(ns:[0-9]+(/.*)?)'"
        ))),
    }
}

/// As [`parse`], and the empty text is the root.
pub(crate) fn parse_folder(text: &str, namespace: NamespaceId) -> Result<Target, PathError> {
    match text {
        "" => Ok(Target::Path(Vec::new())),
        "/" => Err(PathError::Pattern(
            "path: the root folder is the empty string, not \"/\"".into(),
        )),
        // As rclone names the folders of the root, and Dropbox takes it.
        _ if text.starts_with("//") && !text.starts_with("///") => parse(&text[1..], namespace),
        _ => parse(text, namespace),
    }
}

/// As [`parse`], for a place that something is to be put in: names are composed, and some are refused.
pub(crate) fn parse_new(text: &str, namespace: NamespaceId) -> Result<Target, PathError> {
    let mut target = parse(text, namespace)?;
    let names = match &mut target {
        Target::Path(names) | Target::Node { below: names, .. } => names,
        Target::Revision(_) => return Err(PathError::Pattern("path: a revision is no place".into())),
    };
    for name in names.iter_mut() {
        *name = name.composed();
        if crate::service::files::is_refused_name(name) {
            return Err(PathError::File(FileError::DisallowedName));
        }
    }
    Ok(target)
}

/// Reads a revision; one that this server cannot have made is nowhere.
pub(crate) fn parse_rev(text: &str) -> Result<Rev, PathError> {
    let is_rev = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() < 9 || !text.bytes().all(is_rev) {
        return Err(PathError::Pattern(format!(
            "rev: {text:?} did not match pattern '[0-9a-f]+' with at least 9 digits"
        )));
    }
    text.parse().map_err(|_| PathError::File(FileError::NotFound))
}

fn node_of(id: &str, namespace: NamespaceId) -> Option<NodeId> {
    let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
    let (first, second) = bytes.split_at_checked(8)?;
    let namespace_id = i64::from_be_bytes(first.try_into().ok()?);
    let node = i64::from_be_bytes(second.try_into().ok()?);
    if namespace_id != namespace.get() {
        return None;
    }
    NodeId::new(node).ok()
}

fn names(path: &str) -> Result<Vec<NodeName>, PathError> {
    let malformed = |error| PathError::File(FileError::Malformed(error));
    if path.bytes().filter(|byte| *byte == b'/').count() >= limits::TREE_DEPTH {
        return Err(malformed(NameError::TooLong(path.len())));
    }
    let name = |name: &str| match name.contains('\\') {
        true => Err(malformed(NameError::ForbiddenCharacter('\\'))),
        false => NodeName::new(name).map_err(malformed),
    };
    path.split('/').map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace() -> NamespaceId {
        NamespaceId::new(42).unwrap()
    }

    fn names_of(text: &str) -> Option<Vec<String>> {
        match parse(text, namespace()).ok()? {
            Target::Path(names) => Some(names.iter().map(|name| name.as_str().to_owned()).collect()),
            _ => None,
        }
    }

    #[test]
    fn paths_are_names() {
        assert_eq!(names_of("/a/B c.txt").unwrap(), ["a", "B c.txt"]);
        assert_eq!(names_of("ns:42/a").unwrap(), ["a"]);
        assert_eq!(names_of("ns:42").unwrap(), [""; 0]);
        let deep = "/x".repeat(limits::TREE_DEPTH + 1);
        for wrong in ["/", "//", "/a/", "/a//b", "/.", "/a/..", "/a\\b", "/a\0", &deep] {
            let error = parse(wrong, namespace()).unwrap_err();
            assert!(
                matches!(error, PathError::File(FileError::Malformed(_))),
                "{wrong:?}"
            );
        }
        for wrong in ["", "a", "a/b", "ns:", "ns:x/a", "id:", "rev:123", "rev:XYZ456789"] {
            let error = parse(wrong, namespace()).unwrap_err();
            assert!(matches!(error, PathError::Pattern(_)), "{wrong:?}");
        }
        for nowhere in ["ns:43/a", "id:a", "id:abc/x", "rev:123456789"] {
            let error = parse(nowhere, namespace()).unwrap_err();
            assert!(
                matches!(error, PathError::File(FileError::NotFound)),
                "{nowhere:?}"
            );
        }
    }

    #[test]
    fn ids_are_read_back() {
        let node = NodeId::new(0x0123_4567_89ab_cdef).unwrap();
        let id = file_id(namespace(), node);
        assert_eq!(id.len(), 25);
        let expected = Target::Node {
            node,
            below: Vec::new(),
        };
        assert_eq!(parse(&id, namespace()).unwrap(), expected);
        let below = vec![NodeName::new("a").unwrap()];
        let expected = Target::Node { node, below };
        assert_eq!(parse(&format!("{id}/a"), namespace()).unwrap(), expected);
        assert!(
            parse(&id, NamespaceId::new(43).unwrap()).is_err(),
            "another namespace's"
        );
    }

    #[test]
    fn new_names_are_composed_and_some_are_refused() {
        let Target::Path(names) = parse_new("/e\u{301}", namespace()).unwrap() else {
            panic!("a path");
        };
        assert_eq!(names[0].as_str(), "\u{e9}");
        for refused in ["/.DS_Store", "/a/Desktop.ini", "/Icon\r"] {
            let error = parse_new(refused, namespace()).unwrap_err();
            assert!(
                matches!(error, PathError::File(FileError::DisallowedName)),
                "{refused:?}"
            );
        }
    }
}
