//! An argument in `Dropbox-API-Arg`, or in the address, and a `Range`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    cairn_server::fuzzing::arguments(data);
});
