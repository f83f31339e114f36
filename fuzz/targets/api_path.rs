//! A path, an id or a revision, as clients of the public API name a file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = str::from_utf8(data) {
        cairn_server::fuzzing::paths(text);
    }
});
