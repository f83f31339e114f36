//! Reading a file again that nothing says has changed.

use std::sync::Arc;

use cairn_core::node::FileContent;

use super::Scanner;
use super::content::{self, ReadOutcome};
use crate::fs::DiskPath;
use crate::state::LocalRow;

/// What a known file's bytes are now.
#[derive(Debug)]
pub(crate) enum Reread {
    /// As remembered.
    Same,
    /// Others, while times and size are as remembered.
    Silent(FileContent),
    /// Times or size say that it changed, or it is being written.
    Changed,
    /// It is gone.
    Gone,
    /// It cannot be read.
    Unreadable,
}

impl Scanner {
    /// Reads a file and compares it with what is remembered of it.
    pub(crate) async fn reread(&self, path: DiskPath, row: &LocalRow) -> Reread {
        let (fs, clock) = (Arc::clone(&self.fs), Arc::clone(&self.runtime.clock));
        // Whoever is dropped waits no longer for the rest of a long file.
        let waiting = Arc::new(());
        let awaited = Arc::downgrade(&waiting);
        let read = self
            .runtime
            .blocking(move || content::read(&*fs, &*clock, &path, &|| awaited.strong_count() > 0));
        let outcome = read.await;
        drop(waiting);
        match outcome {
            ReadOutcome::Read {
                content, metadata, ..
            } => {
                let found = cairn_core::tree::Substance::File {
                    file_id: content.file_id,
                    size: content.size,
                };
                // The change time is left out: nobody can set it back, so a write always shows there.
                if found == row.entry.substance {
                    Reread::Same
                } else if !metadata.fingerprint.is_same_state(&row.fingerprint) {
                    Reread::Changed
                } else {
                    Reread::Silent(content)
                }
            }
            ReadOutcome::Busy => Reread::Changed,
            ReadOutcome::Gone => Reread::Gone,
            ReadOutcome::Failed(_) => Reread::Unreadable,
        }
    }
}
