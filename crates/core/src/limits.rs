//! Every bound of the system, with its reason.

/// UTF-16 units in a name: what Windows, macOS and Dropbox allow for one path component.
pub const NAME_UTF16_UNITS: usize = 255;
/// Folders above a node. A path of 255-byte names at this depth is 64 KB; deeper trees are accidents or attacks.
pub const TREE_DEPTH: usize = 256;
/// Bytes of a symbolic link's target: PATH_MAX of Linux.
pub const LINK_TARGET_BYTES: usize = 4096;
/// Smallest chunk that is not the last of its file, in bytes.
pub const CHUNK_MIN_BYTES: usize = 16 * 1024;
/// Mean chunk that the cutter aims at, in bytes.
pub const CHUNK_AVG_BYTES: usize = 64 * 1024;
/// Largest chunk, in bytes.
pub const CHUNK_MAX_BYTES: usize = 256 * 1024;
/// Chunks that a manifest lists inline; above it becomes a hash tree.
pub const MANIFEST_INLINE_CHUNKS: usize = 256;
/// Chunks of one file in one commit: about 70 GiB. Bounds the memory of a commit to tens of megabytes.
pub const FILE_CHUNKS: usize = 1 << 20;
/// Operations in one commit; keeps a metadata transaction short.
pub const COMMIT_OPS: usize = 10_000;
/// Operations that a device puts into one commit.
pub const COMMIT_BATCH_OPS: usize = 1_000;
/// Bytes of a request body with chunks.
pub const BODY_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of one frame: the largest chunk with its header, or a page of manifest with room to grow.
pub const FRAME_BYTES: usize = 4 * 1024 * 1024;
/// Chunk hashes in one have-check: 128 KB of hashes.
pub const HAVE_HASHES: usize = 4_096;
/// Chunks whose signatures are asked for at once: 64 MiB that are read, 800 KB that are sent, at the most.
pub const SIGNATURES: usize = 256;
/// Bytes of the bases and of the results of all deltas in one request. A body of short deltas could otherwise keep a
/// server busy for minutes.
pub const DELTA_WORK_BYTES: usize = 64 * 1024 * 1024;
/// Journal entries in one page of changes.
pub const CHANGES_PAGE: usize = 2_000;
/// Nodes in one page of a listing.
pub const LISTING_PAGE: usize = 2_000;
/// Children with their hashes in one page of a tree hash.
pub const TREE_HASH_PAGE: usize = 2_000;
/// Days for which a grant lets an interrupted upload resume without sending again.
pub const GRANT_DAYS: i64 = 7;
/// Characters of an e-mail address (RFC 5321, 4.5.3.1.3).
pub const EMAIL_CHARS: usize = 254;
/// Characters of a device's name.
pub const DEVICE_NAME_CHARS: usize = 64;
/// Bytes of a password; longer ones would only feed a denial of service through the hash.
pub const PASSWORD_BYTES: usize = 1_024;
/// Seconds for which a long-poll or the event stream may stay silent.
pub const HEARTBEAT_SECONDS: u64 = 50;
/// Bytes of a small step of a namespace, which goes out with the news of it: two flights of TCP on an idle connection.
pub const STEP_BYTES: usize = 32 * 1024;
