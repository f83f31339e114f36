//! Why bytes are not a manifest.

/// Bytes that are no manifest or page, or that do not fit the file they are said to belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The bytes end in the middle.
    #[error("the manifest is cut short")]
    Truncated,
    /// Bytes follow the end.
    #[error("{0} bytes follow the manifest's end")]
    TrailingBytes(usize),
    /// Written by a later version of the format.
    #[error("the manifest has format version {0}, which this version of cairn cannot read")]
    Version(u8),
    /// Chunks named by a hash that is not known here.
    #[error(
        "the manifest's chunks are named by hash algorithm {0}, which this version of cairn does not know"
    )]
    HashAlgorithm(u8),
    /// Chunks cut with parameters that are not known here.
    #[error("the manifest's chunks were cut by parameter set {0}, which this version of cairn does not know")]
    Chunker(u8),
    /// A form byte that is unknown, or a page where a manifest is expected, or the reverse.
    #[error("the manifest has the unexpected form {0}")]
    Form(u8),
    /// A number that is not written in the shortest way or does not fit in 64 bits.
    #[error("the manifest holds a number in a wrong encoding")]
    Varint,
    /// A chunk or a page whose length is zero or larger than its chunks allow.
    #[error("the manifest holds an entry of {0} bytes, which is out of bounds")]
    Length(u64),
    /// No entries in a page, or more than may stand in one place.
    #[error("the manifest lists {0} entries in one place, which is out of bounds")]
    EntryCount(u64),
    /// No levels, too many, or a number that does not go with the count of chunks; or a page of another level.
    #[error("the manifest has the wrong number of levels ({0})")]
    Levels(u8),
    /// Chunks or bytes do not add up to what was promised for them.
    #[error("the manifest's chunks do not add up to what was promised")]
    Totals,
    /// A page that was not asked for, or whose bytes do not have the hash that was asked for.
    #[error("this is not the page of the manifest that was asked for")]
    UnexpectedPage,
    /// More chunks than four levels of pages hold.
    #[error("the file has too many chunks for one manifest")]
    TooManyChunks,
}
