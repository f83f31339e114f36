//! Paths on the server, and what stands at them.

use std::fmt;

use cairn_client::files::RemoteFiles;
use cairn_core::change::{Op, Refusal};
use cairn_core::ids::NodeId;
use cairn_core::limits::TREE_DEPTH;
use cairn_core::name::NodeName;
use cairn_core::node::{Content, Node, NodeKind};
use cairn_core::rev::Seq;

use crate::error::{CliError, CliResult};

/// A path from the root of the account's files. Doubled slashes and one in front do not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RemotePath {
    names: Vec<NodeName>,
    /// Whether a slash at its end says that a folder is meant.
    is_folder: bool,
}

impl RemotePath {
    /// Reads a path as it is typed.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split('/').filter(|part| !part.is_empty() && *part != ".");
        let names: Vec<NodeName> = parts
            .map(|part| NodeName::new(part).map_err(|error| error.to_string()))
            .collect::<Result<_, _>>()?;
        if names.len() > TREE_DEPTH {
            return Err(format!("a path can have {TREE_DEPTH} folders"));
        }
        Ok(Self {
            names,
            is_folder: text.ends_with('/'),
        })
    }

    pub(crate) fn names(&self) -> &[NodeName] {
        &self.names
    }

    /// Its last name; `None` for the root.
    pub(crate) fn name(&self) -> Option<&NodeName> {
        self.names.last()
    }

    /// The folder that it is in; the root is in itself.
    pub(crate) fn parent(&self) -> Self {
        let above = self.names.len().saturating_sub(1);
        Self {
            names: self.names[..above].to_vec(),
            is_folder: false,
        }
    }

    pub(crate) fn join(&self, name: &NodeName) -> Self {
        let mut names = self.names.clone();
        names.push(name.clone());
        Self {
            names,
            is_folder: false,
        }
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() {
            return f.write_str("/");
        }
        self.names.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

/// What stands at a path.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// The root.
    Root,
    /// A node.
    Node(Box<Node>),
    /// Nothing, but the folder that it would be in.
    Free {
        /// That folder.
        parent: NodeId,
        /// The name that it would have.
        name: NodeName,
    },
    /// Nothing, and the folder of this many first names is missing too, or is no folder.
    Missing {
        /// Names that were found.
        found: usize,
        /// The last of them, if it is not the root.
        last: Option<Box<Node>>,
    },
}

/// A target with the position at which it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) target: Target,
    pub(crate) seq: Seq,
}

/// Looks a path up.
pub(crate) async fn look_up(files: &RemoteFiles, path: &RemotePath) -> CliResult<Seen> {
    let reply = files.resolve(path.names()).await?;
    let (found, wanted) = (reply.nodes.len(), path.names().len());
    let last = reply.nodes.last().cloned();
    let is_folder = last
        .as_ref()
        .is_none_or(|node| node.content == Content::Directory);
    let target = match (path.name(), last) {
        (None, _) => Target::Root,
        (Some(_), Some(node)) if found == wanted => Target::Node(Box::new(node)),
        (Some(name), last) if found + 1 == wanted && is_folder => Target::Free {
            parent: last.map_or(NodeId::ROOT, |node| node.id),
            name: name.clone(),
        },
        (Some(_), last) => Target::Missing {
            found,
            last: last.map(Box::new),
        },
    };
    Ok(Seen {
        target,
        seq: reply.seq,
    })
}

/// Looks up what must be there.
pub(crate) async fn existing(files: &RemoteFiles, path: &RemotePath) -> CliResult<Seen> {
    let seen = look_up(files, path).await?;
    match &seen.target {
        Target::Root | Target::Node(_) => Ok(seen),
        Target::Free { .. } | Target::Missing { .. } => Err(not_found(path)),
    }
}

impl Target {
    /// The id when it is a folder.
    pub(crate) fn folder(&self) -> Option<NodeId> {
        match self {
            Self::Root => Some(NodeId::ROOT),
            Self::Node(node) if node.content == Content::Directory => Some(node.id),
            _ => None,
        }
    }
}

/// Where something goes that is moved, copied or sent to `destination` under the name `name`: into it when it is a
/// folder, else to that very path.
pub(crate) async fn destination(
    files: &RemoteFiles,
    path: &RemotePath,
    name: Option<&NodeName>,
) -> CliResult<(RemotePath, Seen)> {
    let seen = look_up(files, path).await?;
    match (seen.target.folder(), name) {
        (Some(_), Some(name)) => {
            let inside = path.join(name);
            let seen = look_up(files, &inside).await?;
            Ok((inside, seen))
        }
        (Some(_), None) => Err(CliError::usage(format!(
            "{path} is a folder; name the file in it"
        ))),
        // "docs/" is no new file of the name "docs".
        (None, _) if path.is_folder => match seen.target {
            Target::Node(_) => Err(CliError::failed(format!("{path} is no folder"))),
            _ => Err(
                CliError::failed(format!("the folder {path} does not exist on the server"))
                    .next("make it with \"cairn mkdir -p\""),
            ),
        },
        (None, _) => Ok((path.clone(), seen)),
    }
}

/// All nodes of a folder, by name.
pub(crate) async fn children(files: &RemoteFiles, folder: NodeId) -> CliResult<Vec<Node>> {
    let mut nodes: Vec<Node> = Vec::new();
    loop {
        let after = nodes.last().map(|node| node.place.name.clone());
        let (page, has_more) = files.children(folder, after.as_ref()).await?;
        let is_empty = page.is_empty();
        nodes.extend(page);
        if !has_more || is_empty {
            return Ok(nodes);
        }
    }
}

/// Commits one group of operations that belong to `path`.
pub(crate) async fn commit(files: &RemoteFiles, path: &RemotePath, group: Vec<Op>) -> CliResult {
    let outcomes = files.commit(vec![group]).await?;
    match outcomes.into_iter().next().flatten() {
        None => Ok(()),
        Some(refusal) => Err(refused(path, &refusal)),
    }
}

/// The error for a path at which nothing stands.
pub(crate) fn not_found(path: &RemotePath) -> CliError {
    CliError::failed(format!("{path} does not exist on the server")).next("see \"cairn ls\"")
}

/// The error for a path whose folder is missing.
pub(crate) fn no_folder(path: &RemotePath) -> CliError {
    CliError::failed(format!("the folder of {path} does not exist on the server"))
        .next("make it with \"cairn mkdir -p\"")
}

/// The error for a change that the server did not make.
pub(crate) fn refused(path: &RemotePath, refusal: &Refusal) -> CliError {
    let (what, next) = match refusal {
        Refusal::NodeNotFound { .. } | Refusal::StalePlace { .. } => (
            "it was moved or deleted meanwhile".to_owned(),
            "look again, then repeat the command",
        ),
        Refusal::ParentNotFound { .. } | Refusal::ParentNotDirectory { .. } => (
            "its folder was moved or deleted meanwhile".to_owned(),
            "look again, then repeat the command",
        ),
        Refusal::NameTaken { .. } => (
            "the name is taken".to_owned(),
            "choose another name, or remove the other first",
        ),
        Refusal::StaleContent { .. } => (
            "somebody else changed it meanwhile".to_owned(),
            "fetch their version with \"cairn get\" before you replace it",
        ),
        Refusal::NewerBelow { .. } => (
            "something in it was changed meanwhile".to_owned(),
            "look again, then repeat the command",
        ),
        Refusal::Cycle { .. } => (
            "a folder cannot be moved into itself".to_owned(),
            "choose another place",
        ),
        Refusal::QuotaExceeded { .. } => (refusal.to_string(), "delete something, or ask for more"),
        Refusal::MissingChunks { .. } => (
            "the server lost sight of what was sent".to_owned(),
            "repeat the command",
        ),
        Refusal::TooDeep | Refusal::IdTaken { .. } | Refusal::WrongKind { .. } => {
            (refusal.to_string(), "choose another place")
        }
    };
    CliError::refused(format!("{path} was not changed: {what}")).next(next)
}

/// The kind as it is shown.
pub(crate) const fn kind_word(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Directory => "folder",
        NodeKind::File => "file",
        NodeKind::Symlink => "link",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_are_typed() {
        for (text, shown) in [
            ("", "/"),
            ("/", "/"),
            ("a/b", "/a/b"),
            ("//a//./b/", "/a/b"),
            (" a", "/ a"),
        ] {
            assert_eq!(RemotePath::parse(text).unwrap().to_string(), shown);
        }
        for text in ["..", "a/../b", "a\0"] {
            assert!(RemotePath::parse(text).is_err(), "{text}");
        }
        assert!(RemotePath::parse(&"a/".repeat(300)).is_err());
    }
}
