//! Many files made durable together. A sync of a file costs a commit of the filesystem's journal and a flush of the disk,
//! whatever is in it; a sync of the whole filesystem costs the same once, and writes what others have left to be written.

use std::sync::LazyLock;

/// Files or folders from which on the whole filesystem is synced in place of each: a few are synced in less time than what
/// others write may take.
pub(super) const MANY: usize = 8;

/// Whether a sync of the filesystem says that a write has failed since its descriptor was opened: from Linux 5.8 on.
pub(super) fn is_told_of_errors() -> bool {
    static IS_TOLD: LazyLock<bool> =
        LazyLock::new(|| is_from_5_8(&rustix::system::uname().release().to_string_lossy()));
    *IS_TOLD
}

fn is_from_5_8(release: &str) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (5, 8),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        for (release, expected) in [
            ("6.1.0-31-amd64", true),
            ("5.10.0", true),
            ("5.8.1", true),
            ("5.7.19-generic", false),
            ("4.19", false),
            ("unknown", false),
        ] {
            assert_eq!(is_from_5_8(release), expected, "{release}");
        }
    }
}
