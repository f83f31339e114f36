//! Names in the stage from which it can be told whose bytes they hold when no row tells any more: a device whose state was
//! restored from a backup, or forgotten, has no intents of what a crash left half done.

use cairn_core::ids::NodeId;

use super::Applier;
use crate::fs::Fingerprint;

/// What may be the user's, or the server's on its way to the user's place: nobody has looked at it since it left its place.
const SWAP_PREFIX: &str = "swap-";
/// What was displaced in the state in which it was expected. Its bytes are known to the server or to the user.
const KEPT_PREFIX: &str = "kept-";
/// What the root puts before a staged name while a displaced file and the staged one are both in the stage.
const ASIDE_PREFIX: &str = "displaced-";
/// The inode of no file.
const NO_INODE: u64 = 0;

/// The staged names of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StagedNames {
    /// That of what is swapped, before and after.
    pub(super) swap: String,
    /// That of what was displaced, once it was looked at.
    pub(super) kept: String,
}

/// Something in the stage that was never looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unjudged {
    /// The node at whose place it stood or was to stand.
    pub(super) node: NodeId,
    /// The server's file has this inode, which nothing else can have had while both were there.
    incoming: u64,
    is_aside: bool,
}

impl Unjudged {
    /// Reads a staged name; `None` for all others.
    pub(super) fn parse(staged: &str) -> Option<Self> {
        let without = staged.strip_prefix(ASIDE_PREFIX);
        let tail = without.unwrap_or(staged).strip_prefix(SWAP_PREFIX)?;
        let mut parts = tail.split('-');
        let node = i64::from_str_radix(parts.next()?, 16).ok()?;
        Some(Self {
            node: NodeId::new(node).ok()?,
            incoming: u64::from_str_radix(parts.next()?, 16).ok()?,
            is_aside: without.is_some(),
        })
    }

    /// Whether what stands under the name is the server's file, which can be had again.
    pub(super) fn is_incoming(&self, found: &Fingerprint) -> bool {
        !self.is_aside && self.incoming != NO_INODE && found.inode == self.incoming
    }
}

/// The name that something kept had before it was looked at: that it was renamed may be forgotten with the power.
pub(super) fn name_before(kept: &str) -> Option<String> {
    let tail = kept.strip_prefix(KEPT_PREFIX)?;
    Some(format!("{SWAP_PREFIX}{tail}"))
}

impl Applier {
    /// Names for a step that displaces what stands at a node's place; `incoming` is the server's file that goes there.
    pub(super) fn names_for(&self, node: NodeId, incoming: Option<&Fingerprint>) -> StagedNames {
        let inode = incoming.map_or(NO_INODE, |incoming| incoming.inode);
        let swap = self.fresh_staged_name(&format!("{SWAP_PREFIX}{node}-{inode:016x}"));
        let kept = swap.replacen(SWAP_PREFIX, KEPT_PREFIX, 1);
        StagedNames { swap, kept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_core::time::Mtime;

    fn file(inode: u64) -> Fingerprint {
        Fingerprint {
            inode,
            born_ns: None,
            size: 0,
            mtime: Mtime::default(),
            ctime: Mtime::default(),
        }
    }

    #[test]
    fn a_name_tells_the_node_and_whose_file_it_is() {
        let name = "swap-0000000000000abc-00000000000000ff-00112233445566778899aabbccddeeff";
        let read = Unjudged::parse(name).unwrap();
        assert_eq!(read.node, NodeId::new(0xabc).unwrap());
        assert!(read.is_incoming(&file(0xff)));
        assert!(!read.is_incoming(&file(0xfe)));
        let aside = Unjudged::parse(&format!("displaced-{name}")).unwrap();
        assert!(!aside.is_incoming(&file(0xff)), "it is the user's in any case");
    }

    #[test]
    fn a_step_without_an_incoming_file_says_nothing_of_inodes() {
        let name = "swap-0000000000000abc-0000000000000000-00112233445566778899aabbccddeeff";
        assert!(!Unjudged::parse(name).unwrap().is_incoming(&file(0)));
    }

    #[test]
    fn other_names_are_not_read() {
        for name in [
            "part-0000000000000abc-00ff",
            "kept-1",
            "swap-",
            "swap-x-y-z",
            "displaced-part-1",
        ] {
            assert_eq!(Unjudged::parse(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_kept_had_the_name_of_the_swap() {
        assert_eq!(name_before("kept-1-2-3").as_deref(), Some("swap-1-2-3"));
        assert_eq!(name_before("part-1"), None);
    }
}
