//! Which crate may depend on which.
//!
//! The left may use the right, never back. Server and client never name each other: they meet in the wire types, in
//! the core and in the simulation. Only the binary builds concrete stores and real clocks.

use anyhow::Result;

use crate::command;
use crate::workspace::{Dependency, Kind, Package, Workspace};

/// A crate and the workspace crates that it may be built from.
struct Rule {
    package: &'static str,
    may_use: &'static [&'static str],
}

const TESTKIT: &str = "cairn-testkit";

/// A new crate gets its line here first.
const RULES: &[Rule] = &[
    Rule {
        package: "cairn-core",
        may_use: &[],
    },
    Rule {
        package: "cairn-codec",
        may_use: &["cairn-core"],
    },
    Rule {
        package: "cairn-api",
        may_use: &["cairn-core", "cairn-codec"],
    },
    Rule {
        package: "cairn-metadata",
        may_use: &["cairn-core"],
    },
    Rule {
        package: "cairn-chunks",
        may_use: &["cairn-core", "cairn-codec"],
    },
    Rule {
        package: "cairn-text",
        may_use: &[],
    },
    Rule {
        package: "cairn-server",
        may_use: &[
            "cairn-metadata",
            "cairn-chunks",
            "cairn-api",
            "cairn-core",
            "cairn-codec",
        ],
    },
    Rule {
        package: "cairn-client",
        may_use: &["cairn-api", "cairn-core", "cairn-codec"],
    },
    Rule {
        package: "cairn-cli",
        may_use: &[
            "cairn-server",
            "cairn-client",
            "cairn-metadata",
            "cairn-chunks",
            "cairn-text",
            "cairn-api",
            "cairn-core",
            "cairn-codec",
        ],
    },
    Rule {
        package: "cairn-sim",
        may_use: &[
            "cairn-server",
            "cairn-client",
            "cairn-metadata",
            "cairn-chunks",
            "cairn-api",
            "cairn-core",
            "cairn-codec",
            TESTKIT,
        ],
    },
    Rule {
        package: TESTKIT,
        may_use: &[
            "cairn-server",
            "cairn-client",
            "cairn-metadata",
            "cairn-chunks",
            "cairn-api",
            "cairn-core",
            "cairn-codec",
            "cairn-cli",
        ],
    },
    Rule {
        package: "xtask",
        may_use: &[],
    },
];

/// What the core must not contain, however deep: IO, async, clocks, randomness, serialisation.
const BANNED_IN_CORE: &[&str] = &[
    "async-trait",
    "axum",
    "futures",
    "getrandom",
    "hyper",
    "mio",
    "rand",
    "rand_core",
    "reqwest",
    "serde",
    "serde_core",
    "serde_json",
    "sqlx",
    "sqlx-core",
    "tokio",
];

/// Reads the manifests and the core's whole tree; returns one sentence per broken arrow.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = broken_arrows(&workspace.packages);
    let tree = command::output(
        &workspace.root,
        "cargo tree -p cairn-core -e normal --prefix none",
    )?;
    findings.extend(impure_core(&tree));
    Ok(findings)
}

fn broken_arrows(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in packages {
        let Some(rule) = RULES.iter().find(|rule| rule.package == package.name) else {
            findings.push(format!(
                "arrows: nobody has said what `{}` may depend on; add its line to xtask/src/arrows.rs",
                package.name
            ));
            continue;
        };
        let of_workspace = |name: &str| packages.iter().any(|package| package.name == name);
        let broken = |dependency: &&Dependency| of_workspace(&dependency.name) && !allowed(rule, dependency);
        findings.extend(package.dependencies.iter().filter(broken).map(|dependency| {
            let how = match dependency.kind {
                Kind::Product => "depends on",
                Kind::Dev => "depends, for its tests, on",
            };
            format!(
                "arrows: `{}` {how} `{}`, which it may not use",
                package.name, dependency.name
            )
        }));
    }
    findings
}

/// Tests may use what the crate itself may use, and the testkit.
fn allowed(rule: &Rule, dependency: &Dependency) -> bool {
    let name = dependency.name.as_str();
    rule.may_use.contains(&name) || (dependency.kind == Kind::Dev && name == TESTKIT)
}

/// Looks for banned crates in the output of `cargo tree --prefix none`: a name, a version and remarks on each line.
fn impure_core(tree: &str) -> Vec<String> {
    let mut names: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    names.sort_unstable();
    names.dedup();
    if !names.contains(&"cairn-core") {
        return vec![
            "arrows: cargo tree does not show `cairn-core`, so its purity is not checked".to_owned(),
        ];
    }
    let banned = names.into_iter().filter(|name| BANNED_IN_CORE.contains(name));
    banned
        .map(|name| {
            format!("arrows: `cairn-core` contains `{name}`; `cargo tree -p cairn-core -e normal -i {name}` shows how")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Kind)]) -> Package {
        let dependency = |&(name, kind): &(&str, Kind)| Dependency {
            name: String::from(name),
            kind,
        };
        Package {
            name: name.to_owned(),
            dir: "/w".into(),
            dependencies: dependencies.iter().map(dependency).collect(),
            benches: Vec::new(),
        }
    }

    /// A workspace in which every crate uses all it may, and only that.
    fn sound() -> Vec<Package> {
        let full = |rule: &Rule| {
            let uses: Vec<_> = rule.may_use.iter().map(|&name| (name, Kind::Product)).collect();
            package(rule.package, &uses)
        };
        RULES.iter().map(full).collect()
    }

    /// Adds one dependency to the sound workspace and returns what is said of it.
    fn with(name: &str, dependency: &str, kind: Kind) -> Vec<String> {
        let mut packages = sound();
        let package = packages.iter_mut().find(|package| package.name == name).unwrap();
        package.dependencies.push(Dependency {
            name: dependency.to_owned(),
            kind,
        });
        broken_arrows(&packages)
    }

    #[test]
    fn sound_workspace_has_no_findings() {
        assert_eq!(broken_arrows(&sound()), Vec::<String>::new());
    }

    #[test]
    fn core_depends_on_no_workspace_crate() {
        assert_eq!(
            with("cairn-core", "cairn-codec", Kind::Product),
            ["arrows: `cairn-core` depends on `cairn-codec`, which it may not use"]
        );
    }

    #[test]
    fn server_and_client_never_name_each_other_even_in_tests() {
        for kind in [Kind::Product, Kind::Dev] {
            assert_eq!(with("cairn-server", "cairn-client", kind).len(), 1);
            assert_eq!(with("cairn-client", "cairn-server", kind).len(), 1);
        }
    }

    #[test]
    fn testkit_is_for_tests_only() {
        assert_eq!(with("cairn-cli", TESTKIT, Kind::Product).len(), 1);
        assert_eq!(with("cairn-server", TESTKIT, Kind::Product).len(), 1);
        assert_eq!(with("cairn-server", TESTKIT, Kind::Dev), Vec::<String>::new());
    }

    #[test]
    fn crates_from_outside_are_not_our_arrows() {
        assert_eq!(with("cairn-server", "axum", Kind::Product), Vec::<String>::new());
    }

    #[test]
    fn crate_without_a_rule_is_named() {
        let mut packages = sound();
        packages.push(package("cairn-extra", &[]));
        let findings = broken_arrows(&packages);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("`cairn-extra`"), "{findings:?}");
    }

    #[test]
    fn rules_have_no_cycle() {
        let mut settled: Vec<&str> = Vec::new();
        while settled.len() < RULES.len() {
            let next = RULES.iter().find(|rule| {
                !settled.contains(&rule.package) && rule.may_use.iter().all(|name| settled.contains(name))
            });
            settled.push(next.expect("some crate uses only settled ones").package);
        }
    }

    #[test]
    fn impure_core_is_found_at_any_depth() {
        let tree = "cairn-core v0.1.0 (/w/crates/core)\nuuid v1.2.3\nrand v0.9.0\ngetrandom v0.3.1\nrand v0.9.0 (*)\n";
        let findings = impure_core(tree);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].contains("`getrandom`") && findings[1].contains("`rand`"));
        assert_eq!(
            impure_core("cairn-core v0.1.0\nblake3 v1.8.7\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn empty_tree_is_not_a_pure_one() {
        assert_eq!(impure_core("").len(), 1);
    }
}
