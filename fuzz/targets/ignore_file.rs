//! An ignore file never panics, names no line that it does not have, and always says the same of a path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rules::IgnoreRules;

// The parser alone: the crate around it would have to be built with instrumentation, TLS and SQLite included.
#[path = "../../crates/client/src/scanner/ignore/rules.rs"]
mod rules;

fuzz_target!(|data: (&str, &str, bool)| {
    let (text, path, is_folder) = data;
    let (rules, bad) = IgnoreRules::parse(text);
    let verdict = rules
        .verdict(path, is_folder)
        .map(|verdict| format!("{verdict:?}"));
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
    assert!(bad.iter().all(|line| line.line <= lines.len()));
    let (again, _) = IgnoreRules::parse(text);
    assert_eq!(
        verdict,
        again
            .verdict(path, is_folder)
            .map(|verdict| format!("{verdict:?}"))
    );
});
