//! What people wrote and took away, and what must therefore be found afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use blake3::Hash;

use crate::deadline::Stopwatch;

/// One content. Every content is written once, so that its hash stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who wrote it.
    pub writer: String,
    /// From when it stood in the writer's folder, since the ledger was opened.
    pub since: Duration,
    /// From when it stood where its writer last moved it. A scan that has passed the new place and not yet come to the
    /// old one meets it in neither, and the hint that tells of the move is for the next.
    pub settled: Duration,
    /// Who replaced or deleted it, and from when it may have been gone.
    pub gone: Option<(String, Duration)>,
    /// Whether the writer's device said, while it stood, that everything was in sync.
    pub is_reported: bool,
}

impl Entry {
    /// Whether somebody else than its writer took it away: it had come to another device, by way of the server.
    pub fn has_travelled(&self) -> bool {
        self.gone.as_ref().is_some_and(|(taker, _)| *taker != self.writer)
    }
}

#[derive(Debug)]
struct Book {
    opened: Stopwatch,
    entries: HashMap<Hash, Entry>,
    /// Contents that somebody took away and nobody had written.
    strange: Vec<Hash>,
}

/// All contents that were written, by whom, and whether they were taken away on purpose.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Mutex<Book>>);

impl Default for Ledger {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Book {
            opened: Stopwatch::start(),
            entries: HashMap::new(),
            strange: Vec::new(),
        })))
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since it was opened.
    pub fn now(&self) -> Duration {
        self.lock().opened.elapsed()
    }

    /// A content is in place.
    pub(crate) fn written(&self, writer: &str, content: Hash) {
        let mut book = self.lock();
        let since = book.opened.elapsed();
        let entry = Entry {
            writer: writer.to_owned(),
            since,
            settled: since,
            gone: None,
            is_reported: false,
        };
        book.entries.insert(content, entry);
    }

    /// `mover` has moved a content to another place.
    pub(crate) fn moved(&self, mover: &str, content: Hash) {
        let mut book = self.lock();
        let now = book.opened.elapsed();
        if let Some(entry) = book.entries.get_mut(&content)
            && entry.writer == mover
        {
            entry.settled = now;
        }
    }

    /// `taker` has taken a content away, not before `at`.
    pub(crate) fn given_up(&self, taker: &str, content: Hash, at: Duration) {
        let mut book = self.lock();
        match book.entries.get_mut(&content) {
            Some(entry) => {
                entry.gone.get_or_insert_with(|| (taker.to_owned(), at));
            }
            None => book.strange.push(content),
        }
    }

    /// What `writer` wrote before now and nobody has taken away.
    pub fn standing(&self, writer: &str) -> Vec<Hash> {
        let book = self.lock();
        let standing = book
            .entries
            .iter()
            .filter(|(_, entry)| entry.writer == writer && entry.gone.is_none());
        standing.map(|(content, _)| *content).collect()
    }

    /// A device said that all is in sync, and `contents` stood when it was asked: those that still stand are its word.
    /// Returns how many.
    pub fn reported(&self, contents: &[Hash]) -> usize {
        let mut book = self.lock();
        let mut count = 0;
        for content in contents {
            if let Some(entry) = book.entries.get_mut(content)
                && entry.gone.is_none()
            {
                entry.is_reported = true;
                count += 1;
            }
        }
        count
    }

    /// Everything that was written.
    pub fn entries(&self) -> Vec<(Hash, Entry)> {
        let book = self.lock();
        book.entries
            .iter()
            .map(|(content, entry)| (*content, entry.clone()))
            .collect()
    }

    /// Contents that were found and that nobody had written: a file that was torn or mixed up.
    pub fn strange(&self) -> Vec<Hash> {
        self.lock().strange.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_its_writer_moves_stands_anew() {
        let ledger = Ledger::default();
        let [stays, moves] = [b"a", b"b"].map(|content| blake3::hash(content));
        ledger.written("ada", stays);
        ledger.written("ada", moves);
        ledger.moved("bob", stays);
        ledger.moved("ada", moves);
        ledger.moved("ada", blake3::hash(b"of somebody else"));
        let entries: HashMap<Hash, Entry> = ledger.entries().into_iter().collect();
        assert_eq!(entries[&stays].settled, entries[&stays].since);
        assert!(entries[&moves].settled > entries[&moves].since);
    }

    #[test]
    fn a_report_covers_what_stands_before_and_after_it() {
        let ledger = Ledger::default();
        let [stays, goes, theirs] = [b"a", b"b", b"c"].map(|content| blake3::hash(content));
        ledger.written("ada", stays);
        ledger.written("ada", goes);
        ledger.written("bob", theirs);
        let asked = ledger.standing("ada");
        ledger.given_up("bob", goes, ledger.now());
        assert_eq!(ledger.reported(&asked), 1);
        let entries: HashMap<Hash, Entry> = ledger.entries().into_iter().collect();
        assert!(entries[&stays].is_reported);
        assert!(!entries[&goes].is_reported && entries[&goes].has_travelled());
        assert!(!entries[&theirs].is_reported);
        assert!(ledger.strange().is_empty());
        ledger.given_up("ada", blake3::hash(b"a torn file"), ledger.now());
        assert_eq!(ledger.strange().len(), 1);
    }
}
