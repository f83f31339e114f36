//! A cursor of a listing, signed or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    cairn_server::fuzzing::cursors(data);
});
