//! Manifests and their pages: a manifest that decodes encodes to the same bytes, and a reader of any
//! pages goes through the file from its start to its end, or refuses.
#![no_main]

use cairn_core::manifest::{MANIFEST_MAX_LEVELS, Manifest, ManifestReader, PAGE_MAX_BYTES, Page, Step};
use libfuzzer_sys::fuzz_target;

/// Steps after which a reader has shown enough.
const STEPS: usize = 10_000;

fuzz_target!(|data: (u64, &[u8], Vec<&[u8]>)| {
    let (size, bytes, pages) = data;
    if let Ok(page) = Page::decode(bytes) {
        assert!(bytes.len() <= PAGE_MAX_BYTES && page.level() < MANIFEST_MAX_LEVELS);
    }
    let Ok(manifest) = Manifest::decode(bytes) else {
        return;
    };
    assert_eq!(manifest.encode(), bytes);
    let Ok(mut reader) = ManifestReader::new(&manifest, size) else {
        return;
    };
    let mut pages = pages.into_iter();
    let mut covered = 0u64;
    for _ in 0..STEPS {
        match reader.step() {
            Step::End => {
                assert_eq!(covered, size);
                return;
            }
            Step::Chunk(chunk) => {
                assert_eq!(chunk.offset, covered);
                covered += u64::from(chunk.entry.len);
            }
            Step::Need(_) => match pages.next() {
                Some(page) if reader.give(page).is_ok() => {}
                _ => return,
            },
        }
    }
});
