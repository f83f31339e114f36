//! Names that this disk can hold.

use cairn_core::name::NodeName;

use crate::fs::OWN_FOLDER;

/// Bytes of a name on Linux filesystems.
const NAME_BYTES: usize = 255;
/// Characters of a device's name in the name of a conflicted copy.
const DEVICE_CHARS: usize = 40;

/// The name for this disk where it cannot hold the node's own; `None` where it can. The same name gives the same result.
pub fn disk_name_for(name: &NodeName, is_in_root: bool) -> Option<String> {
    let text = name.as_str();
    let is_ours = is_in_root && text.eq_ignore_ascii_case(OWN_FOLDER);
    if text.len() <= NAME_BYTES && !is_ours {
        return None;
    }
    let hash = blake3::hash(text.as_bytes()).to_hex();
    Some(name.with_suffix(&format!("~{}", &hash[..8])).as_str().to_owned())
}

/// A device's name as part of a file's.
pub(super) fn printable(device_name: &str) -> String {
    device_name
        .chars()
        .take(DEVICE_CHARS)
        .map(|c| {
            if c.is_control() || matches!(c, '/' | '\\' | ':') {
                '-'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_too_long_for_the_disk_are_shortened_alike_each_time() {
        let name = |text: &str| NodeName::new(text).unwrap();
        assert_eq!(disk_name_for(&name(&"é".repeat(127)), false), None);
        let long = name(&format!("{}.txt", "é".repeat(200)));
        let short = disk_name_for(&long, false).unwrap();
        assert!(short.len() <= 255 && short.ends_with(".txt") && short.contains('~'));
        assert_eq!(disk_name_for(&long, false).unwrap(), short);
        assert_ne!(
            disk_name_for(&name(&format!("{}.txt", "é".repeat(201))), false).unwrap(),
            short
        );
        assert!(disk_name_for(&name(".cairn"), true).is_some());
        assert_eq!(disk_name_for(&name(".cairn"), false), None);
        assert_eq!(printable("a/b\nc"), "a-b-c");
    }
}
