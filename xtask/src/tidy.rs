//! The rules about files that no compiler holds.
//!
//! A rule about one line can be set aside where that is right, with its reason, on that line or the one above:
//! `// tidy: sleep because ...`. A long file says so in its first lines: `// tidy: long because ...`.

mod decisions;
mod layout;
mod lines;
mod links;
mod secrets;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Folders that hold what was built or fetched.
const NOT_OURS: &[&str] = &[".git", "target", "node_modules", ".svelte-kit", "build", "dist"];

/// Kinds of files that people write.
const TEXT: &[&str] = &[
    "rs", "toml", "md", "sql", "sh", "yml", "yaml", "ts", "svelte", "css", "html", "service", "py", "js",
];

/// A file that somebody wrote, with its path from the workspace's root.
pub(crate) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn has_extension(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|found| found == extension)
    }

    /// A finding at a line, counted from one.
    fn finding(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }
}

/// Reads every file that people write; returns one sentence per broken rule.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut sources = Vec::new();
    collect(&workspace.root, &workspace.root, &mut sources)?;
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(lines::check(source));
        findings.extend(layout::check_path(&source.path));
        if source.has_extension("md") {
            findings.extend(links::check(source, &sources, &workspace.root));
            findings.extend(decisions::check(source, &sources));
        }
    }
    findings.extend(secrets::check(&sources));
    findings.extend(layout::check_packages(workspace, &sources));
    Ok(findings)
}

/// Walks the tree without asking git, which refuses to answer in a clone that another user owns.
fn collect(root: &Path, dir: &Path, sources: &mut Vec<Source>) -> Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
        let path = entry.path();
        let kind = entry
            .file_type()
            .with_context(|| format!("cannot look at {}", path.display()))?;
        let ours = !NOT_OURS.iter().any(|name| entry.file_name() == *name);
        if kind.is_dir() && ours {
            collect(root, &path, sources)?;
        } else if kind.is_file() && is_text(&path) {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            sources.push(Source {
                path: path.strip_prefix(root).unwrap_or(&path).to_path_buf(),
                text: String::from_utf8_lossy(&bytes).into_owned(),
            });
        }
    }
    Ok(())
}

fn is_text(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| TEXT.contains(&extension)) || path.ends_with(".ci/run")
}
