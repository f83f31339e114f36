//! Identifiers: one type per thing, so that no bare integer or byte array crosses a function.

use std::fmt;
use std::str::FromStr;

use crate::runtime::Entropy;

/// Text that is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {expected}")]
pub struct ParseIdError {
    kind: &'static str,
    expected: &'static str,
    text: String,
}

/// A number outside 1..=2^63-1 where a 63-bit identifier was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value} is not a {kind}: it must lie between 1 and 2^63-1")]
pub struct IdRangeError {
    kind: &'static str,
    value: i64,
}

macro_rules! id63 {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// Wraps a number in 1..=2^63-1.
            ///
            /// # Errors
            /// [`IdRangeError`] for zero and negative numbers.
            pub const fn new(value: i64) -> Result<Self, IdRangeError> {
                if value < 1 { Err(IdRangeError { kind: $kind, value }) } else { Ok(Self(value)) }
            }

            /// Draws a random identifier; two draws collide with probability 2^-63.
            pub fn random(entropy: &dyn Entropy) -> Self {
                let mut bytes = [0; 8];
                loop {
                    entropy.fill(&mut bytes);
                    let value = i64::from_le_bytes(bytes) & i64::MAX;
                    // The first numbers are reserved for a namespace's fixed nodes.
                    if value > 0xff {
                        return Self(value);
                    }
                }
            }

            /// The number, in 1..=2^63-1.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:x})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let wrong = || ParseIdError {
                    kind: $kind,
                    expected: "it is 16 hexadecimal digits",
                    text: text.chars().take(40).collect(),
                };
                if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(wrong());
                }
                i64::from_str_radix(text, 16).ok().and_then(|value| Self::new(value).ok()).ok_or_else(wrong)
            }
        }
    };
}

id63!(
    /// A root with its own journal: an account's own files, or a shared folder.
    NamespaceId, "namespace id"
);
id63!(
    /// A file or folder. Chosen at random by whoever creates the node, alone or with the others of a [`NodeIdRun`]; kept
    /// across moves and renames, never reused.
    NodeId, "node id"
);
id63!(
    /// A person's account.
    AccountId, "account id"
);
id63!(
    /// One linked installation of the sync daemon, or one command line login.
    DeviceId, "device id"
);

impl DeviceId {
    /// The server itself, as who has made what it corrects.
    pub const SERVER: Self = Self(1);

    /// As whom the journal names who asked for something with a device's token and is not the daemon that keeps its folder: its
    /// command line, or a program that has its token.
    ///
    /// A daemon that meets a change of its own of which it knows nothing was restored from a backup; what others did in its
    /// device's name is news to it as any other's. The same once more is the device's own id.
    pub const fn on_behalf(self) -> Self {
        Self(self.0 ^ (1 << 62))
    }
}

impl NodeId {
    /// The root folder of every namespace.
    pub const ROOT: Self = Self(1);
    /// The hidden folder to which deleted nodes are moved.
    pub const TRASH: Self = Self(2);
    /// The hidden folder in which moves between namespaces are prepared.
    pub const STAGING: Self = Self(3);

    /// Whether this is one of the fixed nodes that no commit may create, move, edit or delete.
    pub const fn is_reserved(self) -> bool {
        self.0 <= 0xff
    }
}

/// Ids for nodes that are made together: the first is random, the others follow it.
///
/// Side by side they are appended to the databases of both ends, where each random one is written into a page of its own:
/// `docs/decisions/0008-ids-in-runs.md`.
///
/// Runs of m and n ids meet with probability (m + n - 1) / 2^63. For runs of one that is what random ids have; for longer
/// ones it is less than the m * n / 2^63 of as many random ids. Whoever has the id first keeps it: the server refuses a
/// second node of it, and the device that made that one gives it a random id.
#[derive(Debug, Default)]
pub struct NodeIdRun {
    next: Option<NodeId>,
}

impl NodeIdRun {
    /// The next id; the first one is drawn.
    pub fn take(&mut self, entropy: &dyn Entropy) -> NodeId {
        let id = self.next.unwrap_or_else(|| NodeId::random(entropy));
        // Past the greatest number a new run begins.
        self.next = id.0.checked_add(1).map(NodeId);
        id
    }
}

macro_rules! id_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal, $kind:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps the bytes.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Wraps a slice of exactly [`Self::LEN`] bytes; `None` for any other length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "("))?;
                self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))?;
                write!(f, ")")
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let wrong = || ParseIdError {
                    kind: $kind,
                    expected: $expected,
                    text: text.chars().take(80).collect(),
                };
                if text.len() != $len * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(wrong());
                }
                let mut bytes = [0; $len];
                for (index, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).map_err(|_| wrong())?;
                }
                Ok(Self(bytes))
            }
        }
    };
}

id_bytes!(
    /// The name of a chunk: BLAKE3-256 of its plaintext.
    ChunkHash, 32, "chunk hash", "it is 64 hexadecimal digits"
);
id_bytes!(
    /// The identity of a file's bytes: BLAKE3 in its own context over the encoded manifest.
    FileId, 32, "file id", "it is 64 hexadecimal digits"
);
id_bytes!(
    /// Dropbox's content hash: SHA-256 over the SHA-256s of 4 MiB blocks. Never used for identity or dedup.
    ContentHash, 32, "content hash", "it is 64 hexadecimal digits"
);
id_bytes!(
    /// A link of a namespace's journal: BLAKE3 over the previous link and the entry.
    ChainHash, 32, "chain hash", "it is 64 hexadecimal digits"
);
id_bytes!(
    /// What a folder holds, with everything below it: see [`crate::tree_hash`].
    TreeHash, 32, "tree hash", "it is 64 hexadecimal digits"
);
id_bytes!(
    /// Names one commit attempt of one device, so that a repeated request is applied once.
    OpId, 16, "operation id", "it is 32 hexadecimal digits"
);
id_bytes!(
    /// Names one life of a namespace's journal; changes when a server is restored from a backup.
    Incarnation, 16, "incarnation", "it is 32 hexadecimal digits"
);

impl ChunkHash {
    /// Hashes a chunk's plaintext. Runs at the speed of BLAKE3 on one core.
    pub fn of(plaintext: &[u8]) -> Self {
        Self(*blake3::hash(plaintext).as_bytes())
    }
}

impl OpId {
    /// Draws a fresh operation id.
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(bytes)
    }
}

impl Incarnation {
    /// Draws a fresh incarnation.
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_ids_parse_back() {
        let node = NodeId::new(0x1234_5678_9abc).unwrap();
        assert_eq!(node.to_string(), "0000123456789abc");
        assert_eq!(node.to_string().parse::<NodeId>().unwrap(), node);
        let hash = ChunkHash::of(b"cairn");
        assert_eq!(hash.to_string().parse::<ChunkHash>().unwrap(), hash);
    }

    /// Fills with one byte, which is one less with each call.
    struct Falling(std::sync::atomic::AtomicU8);

    impl Entropy for Falling {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    #[test]
    fn a_run_counts_up_from_a_random_id_and_begins_anew_past_the_greatest() {
        let entropy = Falling(0xff.into());
        let mut run = NodeIdRun::default();
        assert_eq!(run.take(&entropy), NodeId(i64::MAX));
        assert_eq!(run.take(&entropy), NodeId(0x7efe_fefe_fefe_fefe));
        assert_eq!(run.take(&entropy), NodeId(0x7efe_fefe_fefe_feff));
        assert_eq!(NodeIdRun::default().take(&entropy), NodeId(0x7dfd_fdfd_fdfd_fdfd));
    }

    #[test]
    fn ids_refuse_what_they_cannot_hold() {
        assert!(NodeId::new(0).is_err());
        assert!(NodeId::new(-5).is_err());
        for text in [
            "",
            "1",
            "ffffffffffffffff",
            "0000000000000000",
            "+000000000000001",
            "zz00000000000001",
        ] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
        assert!("é".repeat(32).parse::<ChunkHash>().is_err());
    }
}
