//! Lists as one parameter of a statement: SQLite reads them with `json_each`.

use std::fmt::Write;

use cairn_core::ids::ChunkHash;

use super::super::pending::Entry;

/// Hashes as an array of hexadecimal text.
pub(super) fn json_hashes(hashes: &[ChunkHash]) -> String {
    let mut json = String::with_capacity(hashes.len() * 67 + 2);
    json.push('[');
    for (index, hash) in hashes.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(json, "{comma}\"{hash}\"").expect("a string takes any text");
    }
    json.push(']');
    json
}

/// Rows as an array of [hash, pack, offset, len, touch_epoch].
pub(super) fn json_rows(chunks: &[(ChunkHash, Entry)]) -> String {
    let mut json = String::with_capacity(chunks.len() * 110 + 2);
    json.push('[');
    for (index, (hash, entry)) in chunks.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let Entry { at, touch_epoch } = entry;
        write!(
            json,
            "{comma}[\"{hash}\",{},{},{},{touch_epoch}]",
            at.pack.0, at.offset, at.len
        )
        .expect("a string takes any text");
    }
    json.push(']');
    json
}
