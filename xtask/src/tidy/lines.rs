//! Rules about the lines of one file.

use std::path::Path;

use super::Source;

/// Above this a file rarely holds one idea.
const LINES: usize = 600;
/// How far down the reason for a long file may stand.
const REASON_WITHIN: usize = 10;

/// A pattern that Rust code may not hold. Patterns are cut in two, so that this file does not hold them.
struct Banned {
    pattern: &'static str,
    rule: &'static str,
    tests_only: bool,
    why: &'static str,
}

const BANNED: &[Banned] = &[
    Banned {
        pattern: concat!("to", "do!"),
        rule: "stub",
        tests_only: false,
        why: "code is finished or not there",
    },
    Banned {
        pattern: concat!("unimple", "mented!"),
        rule: "stub",
        tests_only: false,
        why: "code is finished or not there",
    },
    Banned {
        pattern: concat!("#[ig", "nore"),
        rule: "ignored",
        tests_only: false,
        why: "a test that does not run tests nothing",
    },
    Banned {
        pattern: concat!("FIX", "ME"),
        rule: "fixme",
        tests_only: false,
        why: "mend it, or open an issue",
    },
    Banned {
        pattern: concat!("thread::sl", "eep"),
        rule: "sleep",
        tests_only: true,
        why: SLEEP,
    },
    Banned {
        pattern: concat!("time::sl", "eep"),
        rule: "sleep",
        tests_only: true,
        why: SLEEP,
    },
    Banned {
        pattern: concat!(" sl", "eep("),
        rule: "sleep",
        tests_only: true,
        why: SLEEP,
    },
];

const SLEEP: &str = "a test waits for the event itself, with a deadline";

/// Checks size, white space and, in Rust, the banned patterns.
pub(super) fn check(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(source.finding(index + 1, "white space at the end of the line"));
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        findings.push(source.finding(source.text.lines().count(), "the last line has no end"));
    }
    if source.has_extension("rs") {
        findings.extend(too_long(source));
        findings.extend(banned(source));
    }
    findings
}

fn too_long(source: &Source) -> Option<String> {
    let count = source.text.lines().count();
    let reason = source
        .text
        .lines()
        .take(REASON_WITHIN)
        .any(|line| is_reason(line, "long"));
    let what = format!("{count} lines: split it, or say `// tidy: long because ...` in its first lines");
    (count > LINES && !reason).then(|| source.finding(1, &what))
}

fn banned(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    let mut in_tests = is_test_file(&source.path);
    let mut previous = "";
    for (index, line) in source.text.lines().enumerate() {
        in_tests |= line.trim() == "#[cfg(test)]";
        let code = line.split_once("//").map_or(line, |(code, _)| code);
        for ban in BANNED.iter().filter(|ban| in_tests || !ban.tests_only) {
            let excused = is_reason(line, ban.rule) || is_reason(previous, ban.rule);
            // A remark left for later stands in a comment, so there the whole line counts.
            let searched = if ban.rule == "fixme" { line } else { code };
            if searched.contains(ban.pattern) && !excused {
                findings.push(source.finding(index + 1, &format!("`{}`: {}", ban.pattern.trim(), ban.why)));
                break;
            }
        }
        previous = line;
    }
    findings
}

/// Whether the line sets the rule aside and gives a reason.
fn is_reason(line: &str, rule: &str) -> bool {
    let marker = format!("// tidy: {rule} because ");
    line.split_once(&marker)
        .is_some_and(|(_, reason)| !reason.trim().is_empty())
}

fn is_test_file(path: &Path) -> bool {
    let in_folder = path.components().any(|part| part.as_os_str() == "tests");
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    in_folder || stem == "tests" || stem.ends_with("_tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(&Source {
            path: path.into(),
            text: text.to_owned(),
        })
    }

    fn pause() -> String {
        format!("    std::{}(second);\n", concat!("thread::sl", "eep"))
    }

    #[test]
    fn plain_file_is_fine() {
        assert_eq!(
            findings("a/src/b.rs", "//! Words.\nfn main() {}\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn trailing_white_space_and_missing_end_are_found() {
        assert_eq!(
            findings("a.md", "one \ntwo\n"),
            ["a.md:1: white space at the end of the line"]
        );
        assert_eq!(findings("a.md", "one\ntwo"), ["a.md:2: the last line has no end"]);
    }

    #[test]
    fn long_file_needs_a_reason() {
        let long = "fn f() {}\n".repeat(LINES + 1);
        assert_eq!(findings("a.rs", &long).len(), 1);
        assert_eq!(
            findings("a.rs", &format!("// tidy: long because one table\n{long}")),
            Vec::<String>::new()
        );
        assert_eq!(
            findings("a.rs", &format!("// tidy: long because \n{long}")).len(),
            2
        );
        assert_eq!(
            findings("a.rs", &"fn f() {}\n".repeat(LINES)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn stubs_and_ignored_tests_are_found_anywhere() {
        let stub = format!("fn f() {{ {}() }}\n", concat!("to", "do!"));
        assert_eq!(findings("a/src/b.rs", &stub).len(), 1);
        let ignored = format!("{}]\nfn f() {{}}\n", concat!("#[ig", "nore"));
        assert_eq!(findings("a/src/b.rs", &ignored).len(), 1);
        let later = format!("// {}: later\n", concat!("FIX", "ME"));
        assert_eq!(findings("a/src/b.rs", &later).len(), 1);
    }

    #[test]
    fn sleeps_are_found_in_tests_only() {
        assert_eq!(findings("a/src/b.rs", &pause()), Vec::<String>::new());
        assert_eq!(findings("a/tests/it/b.rs", &pause()).len(), 1);
        assert_eq!(findings("a/src/b/tests.rs", &pause()).len(), 1);
        assert_eq!(
            findings(
                "a/src/b.rs",
                &format!("#[cfg(test)]\nmod tests {{\n{}}}\n", pause())
            )
            .len(),
            1
        );
    }

    #[test]
    fn sleep_with_a_reason_is_left_alone() {
        let text = format!(
            "    // tidy: sleep because the clock itself is tested\n{}",
            pause()
        );
        assert_eq!(findings("a/tests/it/b.rs", &text), Vec::<String>::new());
    }

    #[test]
    fn comments_may_speak_of_what_code_may_not_do() {
        let text = format!("// no {} here\n", concat!("to", "do!"));
        assert_eq!(findings("a/src/b.rs", &text), Vec::<String>::new());
    }
}
