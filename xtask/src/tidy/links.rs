//! Links between documents: the file is there, and so is the heading.

use std::path::{Component, Path, PathBuf};

use super::Source;

/// Checks the links of one document that stay within the repository.
pub(super) fn check(source: &Source, sources: &[Source], root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, target) in targets(&source.text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((target.as_str(), ""));
        let path = resolved(&source.path, file);
        if !root.join(&path).exists() && !sources.iter().any(|source| source.path == path) {
            findings.push(source.finding(line, &format!("the link `{target}` leads nowhere")));
            continue;
        }
        let document = sources
            .iter()
            .find(|source| source.path == path && source.has_extension("md"));
        let lacks_heading =
            |document: &Source| !headings(&document.text).iter().any(|heading| heading == anchor);
        if !anchor.is_empty() && document.is_some_and(lacks_heading) {
            findings.push(source.finding(line, &format!("the link `{target}` names no heading there")));
        }
    }
    findings
}

/// The path that a link in `from` means, with `..` taken up; an empty link is the document itself.
fn resolved(from: &Path, file: &str) -> PathBuf {
    if file.is_empty() {
        return from.to_path_buf();
    }
    let mut path = match file.strip_prefix('/') {
        Some(_) => PathBuf::new(),
        None => from.parent().unwrap_or(Path::new("")).to_path_buf(),
    };
    for component in Path::new(file).components() {
        match component {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(part) => path.push(part),
            _ => {}
        }
    }
    path
}

/// The targets of `[text](target)` and `[label]: target`, with their line, outside of code.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, prose) in prose(text) {
        if let Some((label, target)) = prose.split_once("]: ")
            && label.starts_with('[')
            && !label.starts_with("[^")
        {
            found.push((
                line,
                target.split_whitespace().next().unwrap_or_default().to_owned(),
            ));
        }
        for (at, _) in prose.match_indices("](") {
            let rest = &prose[at + 2..];
            let Some((target, _)) = rest.split_once(')') else {
                continue;
            };
            // A title may follow the target: `(path "title")`.
            found.push((
                line,
                target.split_whitespace().next().unwrap_or_default().to_owned(),
            ));
        }
    }
    found
}

/// The lines outside of fenced blocks, counted from one, without their code spans.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((
                index + 1,
                line.split('`').step_by(2).collect::<Vec<_>>().join(" "),
            ));
        }
    }
    lines
}

/// The anchors of a document's headings, as GitHub makes them: lower case, no punctuation, hyphens for spaces.
fn headings(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let Some(title) = line.strip_prefix('#').filter(|_| !fenced) else {
            continue;
        };
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let slug = title.chars().filter(kept).collect::<String>().replace(' ', "-");
        let again = |anchor: &&String| **anchor == slug || anchor.starts_with(&format!("{slug}-"));
        let same = anchors.iter().filter(again).count();
        if anchors.contains(&slug) {
            anchors.push(format!("{slug}-{same}"));
        } else {
            anchors.push(slug);
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(path: &str, text: &str) -> Source {
        Source {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    fn findings(text: &str) -> Vec<String> {
        let sources = [
            document("docs/testing.md", text),
            document(
                "docs/protocol.md",
                "# Protocol\n\n## Frames, in bytes\n\n```\n# not a heading\n```\n",
            ),
            document("README.md", "# Cairn\n"),
        ];
        check(&sources[0], &sources, Path::new("/nowhere"))
    }

    #[test]
    fn links_that_resolve_are_fine() {
        let text = "# Tests\n[a](protocol.md), [b](../README.md#cairn) and [c](protocol.md#frames-in-bytes \"title\")\n\
                    [d](#tests) [e](https://example.org/x) [f](/README.md)\n[g]: ../README.md\n";
        assert_eq!(findings(text), Vec::<String>::new());
    }

    #[test]
    fn links_to_nothing_are_found() {
        assert_eq!(
            findings("see [a](absent.md)\n"),
            ["docs/testing.md:1: the link `absent.md` leads nowhere"]
        );
        assert_eq!(findings("[a]: absent.md\n").len(), 1);
        assert_eq!(
            findings("\n[a](protocol.md#not-a-heading)\n"),
            ["docs/testing.md:2: the link `protocol.md#not-a-heading` names no heading there"]
        );
    }

    #[test]
    fn code_holds_no_links() {
        assert_eq!(
            findings("`[a](absent.md)`\n```\n[a](absent.md)\n```\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn repeated_headings_are_numbered() {
        assert_eq!(headings("# Run\n## Run\n## Run\n"), ["run", "run-1", "run-2"]);
    }
}
