//! Rules about where things lie and what they are called.

use std::path::Path;

use super::Source;
use crate::workspace::{Package, Workspace};

/// Words that say nothing about what a module holds.
const EMPTY_WORDS: &[&str] = &[
    "common",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "util",
    "utils",
    "utilities",
];

/// What a package of the workspace is called, given its folder's name.
const PREFIX: &str = "cairn-";

/// Checks the names of a Rust file and of the folders it lies in.
pub(super) fn check_path(path: &Path) -> Vec<String> {
    if path.extension().is_none_or(|extension| extension != "rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if path.ends_with("mod.rs") {
        findings.push(format!(
            "{}: a module `x` is `x.rs` beside `x/`, not `x/mod.rs`",
            path.display()
        ));
    }
    for part in path.with_extension("").iter().filter_map(|part| part.to_str()) {
        if let Some(word) = part.split(['_', '-']).find(|word| EMPTY_WORDS.contains(word)) {
            findings.push(format!(
                "{}: `{word}` says nothing; name what the module holds",
                path.display()
            ));
        }
    }
    findings
}

/// Checks that each package is found where its name says, and that it takes part in the workspace's lints.
pub(super) fn check_packages(workspace: &Workspace, sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let dir = package.dir.strip_prefix(&workspace.root).unwrap_or(&package.dir);
        findings.extend(misnamed(package, dir));
        let manifest = sources
            .iter()
            .find(|source| source.path == dir.join("Cargo.toml"));
        if !manifest.is_some_and(|manifest| manifest.text.contains("[lints]\nworkspace = true\n")) {
            findings.push(format!(
                "{}/Cargo.toml: `[lints] workspace = true` is missing",
                dir.display()
            ));
        }
    }
    findings
}

fn misnamed(package: &Package, dir: &Path) -> Option<String> {
    let folder = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let expected = if dir.starts_with("crates") {
        format!("{PREFIX}{folder}")
    } else {
        folder.to_owned()
    };
    (package.name != expected).then(|| {
        format!(
            "{}: the package is called `{}`, not `{expected}`",
            dir.display(),
            package.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_words_are_found_in_files_and_folders() {
        assert_eq!(check_path(Path::new("crates/server/src/path_utils.rs")).len(), 1);
        assert_eq!(
            check_path(Path::new("crates/testkit/tests/common/setup.rs")).len(),
            1
        );
        assert_eq!(
            check_path(Path::new("crates/server/src/futility.rs")),
            Vec::<String>::new()
        );
        assert_eq!(check_path(Path::new("docs/common.md")), Vec::<String>::new());
    }

    #[test]
    fn mod_rs_is_found() {
        assert_eq!(check_path(Path::new("crates/server/src/sync/mod.rs")).len(), 1);
    }

    fn workspace(name: &str, dir: &str) -> Workspace {
        let package = Package {
            name: name.to_owned(),
            dir: Path::new("/w").join(dir),
            dependencies: Vec::new(),
            benches: Vec::new(),
        };
        Workspace {
            root: "/w".into(),
            target: "/w/target".into(),
            packages: vec![package],
        }
    }

    fn manifest(dir: &str) -> Source {
        Source {
            path: Path::new(dir).join("Cargo.toml"),
            text: "[package]\n\n[lints]\nworkspace = true\n".to_owned(),
        }
    }

    #[test]
    fn package_is_called_like_its_folder() {
        assert_eq!(
            check_packages(
                &workspace("cairn-core", "crates/core"),
                &[manifest("crates/core")]
            ),
            Vec::<String>::new()
        );
        assert_eq!(
            check_packages(&workspace("xtask", "xtask"), &[manifest("xtask")]),
            Vec::<String>::new()
        );
        assert_eq!(
            check_packages(
                &workspace("cairn-kernel", "crates/core"),
                &[manifest("crates/core")]
            ),
            ["crates/core: the package is called `cairn-kernel`, not `cairn-core`"]
        );
    }

    #[test]
    fn package_without_the_lints_is_found() {
        let mut bare = manifest("xtask");
        bare.text = "[package]\n".to_owned();
        assert_eq!(
            check_packages(&workspace("xtask", "xtask"), &[bare]),
            ["xtask/Cargo.toml: `[lints] workspace = true` is missing"]
        );
    }
}
