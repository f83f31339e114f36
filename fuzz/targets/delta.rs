//! Signatures and deltas: bytes that decode as a signature encode to the same, a delta made from any signature ends and says
//! what it was made for where the signature does, and one of any bytes stays within its bounds.
#![no_main]

use cairn_core::delta::{Signature, apply, make};
use cairn_core::limits::CHUNK_MAX_BYTES;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&[u8], &[u8], &[u8], u16)| {
    let (base, new, bytes, plain_len) = data;
    let plain_len = usize::from(plain_len);
    if let Ok(made) = apply(base, bytes, plain_len) {
        assert_eq!(made.len(), plain_len);
    }
    if let Ok(signature) = Signature::decode(bytes) {
        assert_eq!(signature.encode(), bytes);
        let delta = make(&[&signature], new);
        let made = apply(&vec![0; signature.chunk_len()], &delta, new.len());
        assert_eq!(made.expect("copies lie within the chunk").len(), new.len());
    }
    if !base.is_empty() && base.len() <= CHUNK_MAX_BYTES {
        let delta = make(&[&Signature::of(base)], new);
        assert!(apply(base, &delta, new.len()).is_ok_and(|made| made == new));
    }
});
