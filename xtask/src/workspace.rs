//! The workspace as cargo sees it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;

/// When a dependency is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Into the product: normal and build dependencies.
    Product,
    /// Into tests and benches only.
    Dev,
}

/// A dependency as a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// One member of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) benches: Vec<String>,
}

/// The workspace's root and its members.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

impl Workspace {
    /// Asks cargo for the workspace that this program belongs to.
    pub(crate) fn load() -> Result<Self> {
        let json = command::output(&root()?, "cargo metadata --no-deps --format-version 1")?;
        Self::parse(&json)
    }

    /// Reads the output of `cargo metadata --no-deps --format-version 1`.
    pub(crate) fn parse(json: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(json).context("cargo metadata is not JSON")?;
        let packages = items(&value, "packages")?;
        Ok(Self {
            root: PathBuf::from(text(&value, "workspace_root")?),
            target: PathBuf::from(text(&value, "target_directory")?),
            packages: packages.iter().map(package).collect::<Result<_>>()?,
        })
    }
}

/// The folder that holds the workspace, from what `cargo run` says of this program.
///
/// Read at run time: a path compiled in would point to another clone when two share a target folder.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
    let parent = Path::new(&manifest_dir).parent();
    Ok(parent.context("xtask lies in no workspace")?.to_path_buf())
}

fn package(value: &Value) -> Result<Package> {
    let manifest = PathBuf::from(text(value, "manifest_path")?);
    let targets = items(value, "targets")?;
    let is_bench = |target: &&Value| {
        target["kind"]
            .as_array()
            .is_some_and(|kinds| kinds.contains(&"bench".into()))
    };
    Ok(Package {
        name: text(value, "name")?.to_owned(),
        dir: manifest
            .parent()
            .context("a manifest lies in no folder")?
            .to_path_buf(),
        dependencies: items(value, "dependencies")?
            .iter()
            .map(dependency)
            .collect::<Result<_>>()?,
        benches: targets
            .iter()
            .filter(is_bench)
            .map(|target| text(target, "name").map(str::to_owned))
            .collect::<Result<_>>()?,
    })
}

fn dependency(value: &Value) -> Result<Dependency> {
    let kind = match value["kind"].as_str() {
        Some("dev") => Kind::Dev,
        _ => Kind::Product,
    };
    Ok(Dependency {
        name: text(value, "name")?.to_owned(),
        kind,
    })
}

fn items<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key]
        .as_array()
        .with_context(|| format!("cargo metadata has no list `{key}`"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("cargo metadata has no text `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "workspace_root": "/w",
        "target_directory": "/t",
        "packages": [{
            "name": "cairn-core",
            "manifest_path": "/w/crates/core/Cargo.toml",
            "dependencies": [{"name": "blake3", "kind": null}, {"name": "proptest", "kind": "dev"}],
            "targets": [{"name": "cairn_core", "kind": ["lib"]}, {"name": "cut", "kind": ["bench"]}]
        }]
    }"#;

    #[test]
    fn reads_members_dependencies_and_benches() {
        let workspace = Workspace::parse(METADATA).unwrap();
        assert_eq!(workspace.root, Path::new("/w"));
        assert_eq!(workspace.target, Path::new("/t"));
        let core = &workspace.packages[0];
        assert_eq!(core.dir, Path::new("/w/crates/core"));
        assert_eq!(core.benches, ["cut"]);
        let kinds: Vec<_> = core
            .dependencies
            .iter()
            .map(|d| (d.name.as_str(), d.kind))
            .collect();
        assert_eq!(kinds, [("blake3", Kind::Product), ("proptest", Kind::Dev)]);
    }

    #[test]
    fn refuses_what_is_not_metadata() {
        assert!(Workspace::parse("[]").is_err());
        assert!(Workspace::parse("cargo: not found").is_err());
    }
}
