//! The law of names: a key's key is itself, and names that differ only in case or normalisation have one key.
#![no_main]

use cairn_core::name::NodeName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(name) = NodeName::new(text) else { return };
    let key = name.key();
    let composed = name.composed();
    assert_eq!(composed.key().as_str(), key.as_str());
    assert_eq!(composed.composed().as_str(), composed.as_str());
    if let Ok(folded) = NodeName::new(key.as_str()) {
        assert_eq!(folded.key().as_str(), key.as_str());
    }
    let longer = name.with_suffix(" (conflict, a device, 2026-11-22)");
    assert!(NodeName::new(longer.as_str()).is_ok());
});
