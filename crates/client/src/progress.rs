//! What is being transferred, counted where it happens and read by whoever shows it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Paths that are kept as "current": as many as a terminal shows.
const CURRENT_PATHS: usize = 8;

/// The requests that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// Who the server is, before a token.
    Hello,
    /// Getting a token.
    Login,
    /// Giving it back.
    Logout,
    /// Whom it speaks for.
    Whoami,
    /// The account's devices.
    Devices,
    /// Forgetting one of them.
    Unlink,
    /// What a device is to delete that was unlinked.
    Wipe,
    /// That it has done so.
    Wiped,
    /// Making a token.
    Tokens,
    /// The second factor.
    SecondFactor,
    /// Which chunks need not be sent.
    Have,
    /// What to make deltas against.
    Signatures,
    /// Chunks ahead of a commit.
    Chunks,
    /// Commits.
    Commit,
    /// The journal.
    Changes,
    /// Listings of nodes.
    Nodes,
    /// Listings of a folder.
    Children,
    /// Paths.
    Resolve,
    /// States of a file.
    Revs,
    /// Hashes of folders.
    TreeHash,
    /// Content.
    Fetch,
    /// Reports of a cursor.
    Cursor,
    /// The event stream.
    Events,
}

impl Route {
    /// Every route, in the order of the counters.
    pub const ALL: [Self; 23] = [
        Self::Hello,
        Self::Login,
        Self::Logout,
        Self::Whoami,
        Self::Devices,
        Self::Unlink,
        Self::Wipe,
        Self::Wiped,
        Self::Tokens,
        Self::SecondFactor,
        Self::Have,
        Self::Signatures,
        Self::Chunks,
        Self::Commit,
        Self::Changes,
        Self::Nodes,
        Self::Children,
        Self::Resolve,
        Self::Revs,
        Self::TreeHash,
        Self::Fetch,
        Self::Cursor,
        Self::Events,
    ];

    /// The path on the server.
    pub const fn path(self) -> &'static str {
        use cairn_api::sync::path;
        match self {
            Self::Hello => path::HELLO,
            Self::Login => path::LOGIN,
            Self::Logout => path::LOGOUT,
            Self::Whoami => path::WHOAMI,
            Self::Devices => path::DEVICES,
            Self::Unlink => path::UNLINK,
            Self::Wipe => path::WIPE,
            Self::Wiped => path::WIPED,
            Self::Tokens => path::TOKENS,
            Self::SecondFactor => path::SECOND_FACTOR,
            Self::Have => path::HAVE,
            Self::Signatures => path::SIGNATURES,
            Self::Chunks => path::CHUNKS,
            Self::Commit => path::COMMIT,
            Self::Changes => path::CHANGES,
            Self::Nodes => path::NODES,
            Self::Children => path::CHILDREN,
            Self::Resolve => path::RESOLVE,
            Self::Revs => path::REVS,
            Self::TreeHash => path::TREE_HASH,
            Self::Fetch => path::FETCH,
            Self::Cursor => path::CURSOR,
            Self::Events => path::EVENTS,
        }
    }
}

/// Counters of one direction.
#[derive(Debug, Default)]
pub struct Direction {
    files_done: AtomicU64,
    files_total: AtomicU64,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    wire_bytes: AtomicU64,
}

impl Direction {
    /// Announces work.
    pub fn expect(&self, files: u64, bytes: u64) {
        self.files_total.fetch_add(files, Ordering::Relaxed);
        self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts files that are done.
    pub fn files(&self, count: u64) {
        self.files_done.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts bytes of content that need no more work: transferred, or found to be there.
    pub fn bytes(&self, count: u64) {
        self.bytes_done.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts bytes of request or reply bodies.
    pub fn wire(&self, count: u64) {
        self.wire_bytes.fetch_add(count, Ordering::Relaxed);
    }

    fn cut(&self) {
        for (done, total) in [
            (&self.files_done, &self.files_total),
            (&self.bytes_done, &self.bytes_total),
        ] {
            total.store(done.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    fn snapshot(&self) -> DirectionSnapshot {
        DirectionSnapshot {
            files_done: self.files_done.load(Ordering::Relaxed),
            files_total: self.files_total.load(Ordering::Relaxed),
            bytes_done: self.bytes_done.load(Ordering::Relaxed),
            bytes_total: self.bytes_total.load(Ordering::Relaxed),
            wire_bytes: self.wire_bytes.load(Ordering::Relaxed),
        }
    }
}

/// The counters of one direction at one time. Totals grow as work is found; done may pass a total when something was
/// transferred twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DirectionSnapshot {
    /// Files done.
    pub files_done: u64,
    /// Files announced.
    pub files_total: u64,
    /// Bytes of content done.
    pub bytes_done: u64,
    /// Bytes of content announced.
    pub bytes_total: u64,
    /// Bytes of bodies on the wire.
    pub wire_bytes: u64,
}

/// The counters of a daemon. Shared; cheap to write from any task.
#[derive(Debug, Default)]
pub struct Progress {
    /// To the server.
    pub up: Direction,
    /// From the server.
    pub down: Direction,
    requests: [AtomicU64; Route::ALL.len()],
    spared: [AtomicU64; Route::ALL.len()],
    current: Mutex<VecDeque<String>>,
}

impl Progress {
    /// Counters at zero.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Counts a request.
    pub fn request(&self, route: Route) {
        self.requests[route as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests of one route so far.
    pub fn requests_of(&self, route: Route) -> u64 {
        self.requests[route as usize].load(Ordering::Relaxed)
    }

    /// Counts a request that was not made: the server had sent the answer along.
    pub fn spared(&self, route: Route) {
        self.spared[route as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests of one route so far that were not made.
    pub fn spared_of(&self, route: Route) -> u64 {
        self.spared[route as usize].load(Ordering::Relaxed)
    }

    /// Names a path that is being worked on. The last few are kept.
    pub fn begin(&self, path: &str) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.len() == CURRENT_PATHS {
            current.pop_front();
        }
        current.push_back(path.to_owned());
    }

    /// Ends the work on a path.
    pub fn end(&self, path: &str) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = current.iter().position(|held| held == path) {
            current.remove(index);
        }
    }

    /// Ends all work: it was cut, and what was announced is announced again when it goes on.
    pub fn cut(&self) {
        self.up.cut();
        self.down.cut();
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// All counters at this time. They are read one after another: sums may be off by what happens meanwhile.
    pub fn snapshot(&self) -> ProgressSnapshot {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        ProgressSnapshot {
            up: self.up.snapshot(),
            down: self.down.snapshot(),
            requests: Route::ALL
                .into_iter()
                .map(|route| (route, self.requests_of(route)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            current: current.iter().cloned().collect(),
        }
    }
}

/// All counters at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgressSnapshot {
    /// To the server.
    pub up: DirectionSnapshot,
    /// From the server.
    pub down: DirectionSnapshot,
    /// Requests by route, those that were used.
    pub requests: Vec<(Route, u64)>,
    /// The paths that are being worked on, the latest last.
    pub current: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_stand_at_their_route() {
        for (index, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route as usize, index, "{route:?}");
        }
        let progress = Progress::new();
        progress.request(Route::Commit);
        progress.request(Route::Commit);
        progress.request(Route::Events);
        let snapshot = progress.snapshot();
        assert_eq!(snapshot.requests, vec![(Route::Commit, 2), (Route::Events, 1)]);
    }

    #[test]
    fn only_the_last_paths_are_kept() {
        let progress = Progress::new();
        (0..100).for_each(|index| progress.begin(&index.to_string()));
        progress.end("99");
        progress.end("never begun");
        let current = progress.snapshot().current;
        assert_eq!(current, ["92", "93", "94", "95", "96", "97", "98"]);
    }

    #[test]
    fn what_was_cut_is_announced_once_more() {
        let progress = Progress::new();
        progress.up.expect(2, 20);
        progress.begin("a");
        progress.up.files(1);
        progress.up.bytes(15);
        progress.cut();
        progress.up.expect(1, 10);
        let snapshot = progress.snapshot();
        assert_eq!(snapshot.current, Vec::<String>::new());
        assert_eq!((snapshot.up.files_done, snapshot.up.files_total), (1, 2));
        assert_eq!((snapshot.up.bytes_done, snapshot.up.bytes_total), (15, 25));
    }
}
