//! What one `.cairnignore` says.

use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Rules of one file that hold; the others are told and left out. Bounds the memory of the compiled rules.
pub const RULES: usize = 2_000;
/// Bytes of one rule: more than any path that is typed.
pub const RULE_BYTES: usize = 4_096;

/// A line that is no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// What a rule says of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is left alone; the rule as it was typed.
    Ignored(String),
    /// It is synced although a rule before says otherwise.
    Wanted,
}

/// The rules of one file, in the syntax of gitignore(5). Paths are relative to the file's folder.
#[derive(Debug, Clone)]
pub struct IgnoreRules {
    matcher: Gitignore,
}

impl IgnoreRules {
    /// Reads the rules of a file, for a disk that tells names apart by case. Every line that is no rule is returned, and the
    /// other lines hold. Pure; at most [`RULES`] rules of at most [`RULE_BYTES`] bytes.
    pub fn parse(text: &str) -> (Self, Vec<BadLine>) {
        Self::parse_for(text, false)
    }

    /// The same, for a disk that may take names that differ in case for one.
    pub fn parse_for(text: &str, folds_case: bool) -> (Self, Vec<BadLine>) {
        let mut bad = Vec::new();
        let mut builder = GitignoreBuilder::new("");
        if let Err(error) = builder.case_insensitive(folds_case).map(|_| ()) {
            bad.push(BadLine {
                line: 0,
                what: error.to_string(),
            });
        }
        let mut count = 0;
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let refuse = |what: String| BadLine {
                line: index + 1,
                what,
            };
            if line.trim_end().is_empty() || line.starts_with('#') {
                continue;
            }
            count += 1;
            if count > RULES {
                bad.push(refuse(format!("only the first {RULES} rules hold")));
                break;
            }
            if line.len() > RULE_BYTES {
                bad.push(refuse(format!("a rule has at most {RULE_BYTES} bytes")));
            } else if line.contains(['\0', '\u{fffd}']) {
                bad.push(refuse("it is not UTF-8".to_owned()));
            } else if let Err(error) = builder.add_line(None, line) {
                bad.push(refuse(error.to_string()));
            }
        }
        let matcher = builder.build().unwrap_or_else(|error| {
            bad.push(BadLine {
                line: 0,
                what: error.to_string(),
            });
            Gitignore::empty()
        });
        (Self { matcher }, bad)
    }

    /// What the last rule that concerns a name says; `path` is relative to the file's folder, with slashes.
    pub fn verdict(&self, path: &str, is_folder: bool) -> Option<Verdict> {
        match self.matcher.matched(Path::new(path), is_folder) {
            Match::None => None,
            Match::Ignore(rule) => Some(Verdict::Ignored(rule.original().to_owned())),
            Match::Whitelist(_) => Some(Verdict::Wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ignored(rules: &str, path: &str, is_folder: bool) -> bool {
        let (rules, bad) = IgnoreRules::parse(rules);
        assert_eq!(bad, []);
        matches!(rules.verdict(path, is_folder), Some(Verdict::Ignored(_)))
    }

    #[test]
    fn rules_mean_what_they_mean_to_git() {
        for (rules, path, is_folder, expected) in [
            ("*.o", "a.o", false, true),
            ("*.o", "deep/down/a.o", false, true),
            ("*.o\n!keep.o", "keep.o", false, false),
            ("!keep.o\n*.o", "keep.o", false, true),
            ("/build", "build", true, true),
            ("/build", "sub/build", true, false),
            ("build/", "build", true, true),
            ("build/", "build", false, false),
            ("build/", "sub/build", true, true),
            ("docs/*.txt", "docs/a.txt", false, true),
            ("docs/*.txt", "docs/sub/a.txt", false, false),
            ("docs/**/a", "docs/x/y/a", false, true),
            ("**/logs", "x/logs", true, true),
            ("# *.o", "a.o", false, false),
            ("\\#a", "#a", false, true),
            ("\\!a", "!a", false, true),
            ("a ", "a", false, true),
            ("a\\ ", "a ", false, true),
            ("[ab].c", "a.c", false, true),
            ("*.o\r\n*.p\r\n", "a.p", false, true),
            ("\u{feff}*.o", "a.o", false, true),
            ("", "a", false, false),
        ] {
            assert_eq!(is_ignored(rules, path, is_folder), expected, "{rules:?} {path:?}");
        }
    }

    #[test]
    fn a_malformed_line_is_told_and_the_others_hold() {
        let (rules, bad) = IgnoreRules::parse("*.o\n[z-a\n\n# note\n{a,b\n*.p");
        let lines: Vec<usize> = bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [2, 5].as_slice()[..lines.len()].to_vec());
        assert!(!bad.is_empty() && bad.iter().all(|bad| !bad.what.is_empty()));
        for path in ["a.o", "a.p"] {
            assert!(rules.verdict(path, false).is_some(), "{path}");
        }
    }

    #[test]
    fn a_file_of_rules_has_a_bound() {
        let text: String = (0..RULES + 10).map(|number| format!("file-{number}\n")).collect();
        let (rules, bad) = IgnoreRules::parse(&text);
        assert_eq!(bad.len(), 1);
        assert_eq!(bad[0].line, RULES + 1);
        assert!(rules.verdict("file-1999", false).is_some());
        assert!(rules.verdict("file-2000", false).is_none());
        let (_, bad) = IgnoreRules::parse(&"x".repeat(RULE_BYTES + 1));
        assert_eq!(bad.len(), 1);
    }

    #[test]
    fn case_counts_where_the_disk_tells_it_apart() {
        let (exact, _) = IgnoreRules::parse("*.OBJ");
        let (folding, _) = IgnoreRules::parse_for("*.OBJ", true);
        assert_eq!(exact.verdict("a.obj", false), None);
        assert_eq!(
            folding.verdict("a.obj", false),
            Some(Verdict::Ignored("*.OBJ".to_owned()))
        );
    }
}
