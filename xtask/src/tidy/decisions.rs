//! Decisions about security: each names a test that fails when it is broken, and that test is there.

use std::collections::BTreeSet;

use super::Source;

/// The document that lists them.
const DOCUMENT: &str = "docs/security.md";
/// The last column of its tables.
const COLUMN: &str = "held by";
/// How far above a function its attribute may stand: others may come between, and a reason.
const ATTRIBUTE_WITHIN: usize = 4;

/// Checks the rows of the document, where this is it.
pub(super) fn check(source: &Source, sources: &[Source]) -> Vec<String> {
    if !source.path.ends_with(DOCUMENT) {
        return Vec::new();
    }
    let tests: BTreeSet<&str> = sources.iter().flat_map(tests).collect();
    let mut findings = Vec::new();
    for (line, cell) in rows(&source.text) {
        let names = names(cell);
        if names.is_empty() {
            findings.push(source.finding(line, "no test is named that holds this decision"));
        }
        let unknown = names.iter().filter(|name| !tests.contains(*name));
        findings.extend(unknown.map(|name| source.finding(line, &format!("there is no test `{name}`"))));
    }
    findings
}

/// The last cells of the rows that say what holds a decision, with their lines, counted from one.
fn rows(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_table = false;
    for (index, line) in text.lines().enumerate() {
        let Some(cells) = line
            .trim()
            .strip_prefix('|')
            .and_then(|line| line.strip_suffix('|'))
        else {
            // A table goes on behind an empty line, for who reads the source, until prose comes.
            in_table &= line.trim().is_empty();
            continue;
        };
        let cell = cells.rsplit('|').next().unwrap_or_default().trim();
        let is_rule = cell.bytes().all(|byte| matches!(byte, b'-' | b':')) && cell.len() > 1;
        if cell == COLUMN {
            in_table = true;
        } else if in_table && !is_rule {
            found.push((index + 1, cell));
        }
    }
    found
}

/// What a cell names that is written as the name of a test.
fn names(cell: &str) -> Vec<&str> {
    let quoted = cell.split('`').skip(1).step_by(2);
    let is_name = |text: &&str| {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        text.contains('_') && text.bytes().all(legal)
    };
    quoted.filter(is_name).collect()
}

/// The names of the tests in a file of Rust or Python, those of a suite that stores pass among them.
fn tests(source: &Source) -> Vec<&str> {
    let mut found = Vec::new();
    let mut since_attribute = usize::MAX;
    // A suite that stores pass runs all that it has; the compiler sees what it leaves out.
    let is_suite = source
        .path
        .components()
        .any(|part| part.as_os_str() == "conformance");
    for line in source.text.lines().map(str::trim) {
        since_attribute = since_attribute.saturating_add(1);
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            since_attribute = 0;
        }
        let function = match source.has_extension("py") {
            true => line.strip_prefix("def ").filter(|name| name.starts_with("test_")),
            false if is_suite => line.strip_prefix("pub(super) async fn "),
            false => line
                .strip_prefix("async ")
                .unwrap_or(line)
                .strip_prefix("fn ")
                .filter(|_| since_attribute <= ATTRIBUTE_WITHIN),
        };
        if let Some((name, _)) = function.and_then(|rest| rest.split_once('(')) {
            found.push(name);
            since_attribute = usize::MAX;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    fn findings(rows: &str) -> Vec<String> {
        let tests = "#[test]\nfn it_is_so() {\n}\n\nfn it_helps() {}\n\n    #[tokio::test(start_paused = true)]\n    \
                     async fn it_waits() {}\n";
        let sources = [
            source(
                DOCUMENT,
                &format!(
                    "| a | b | held by |\n|---|---|---|\n{rows}\n\nWords.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
                ),
            ),
            source("crates/a/src/b.rs", tests),
            source(
                "crates/a/src/conformance/b.rs",
                "pub(super) async fn stores_do_it(store: S) {\n}\n",
            ),
            source(
                "clients/python/test_it.py",
                "class A:\n    def test_it(self):\n        pass\n",
            ),
        ];
        check(&sources[0], &sources)
    }

    #[test]
    fn a_row_that_names_tests_is_fine() {
        let rows = "| x | y | `it_is_so`, `it_waits`, `stores_do_it` (`crates/a`) |\n\n| x | y | `test_it` (`clients/python`) |";
        assert_eq!(findings(rows), Vec::<String>::new());
    }

    #[test]
    fn a_row_without_a_test_is_found() {
        for cell in ["by construction (`b.rs`)", "-", "", "`Auth::hashing`"] {
            assert_eq!(
                findings(&format!("| x | y | {cell} |")),
                ["docs/security.md:3: no test is named that holds this decision"],
                "{cell}"
            );
        }
    }

    #[test]
    fn a_test_that_is_not_there_is_found() {
        assert_eq!(
            findings("| x | y | `it_is_so`, `it_was_so` |"),
            ["docs/security.md:3: there is no test `it_was_so`"]
        );
        assert_eq!(findings("| x | y | `it_helps` |").len(), 1, "it is none");
    }
}
