//! The ways in which programs save a file.

use super::{Hand, Later, Piece, sibling};
use crate::script::Action;
use crate::tree::Item;

impl Hand {
    pub(super) fn do_save(&mut self, action: &Action) -> Option<Vec<Later>> {
        match action {
            Action::Overwrite { file, size } => {
                let path = self.regular_file(file)?;
                let bytes = self.bytes(0, *size);
                self.truncate(&path)?;
                self.append(&path, &bytes)?;
                self.finish(&path);
            }
            Action::Append { file, size } => {
                let path = self.regular_file(file)?;
                let bytes = self.bytes(0, *size);
                if bytes.is_empty() {
                    // What it holds was promised by who wrote it, or is the beginning of what somebody else is saving.
                    return Some(Vec::new());
                }
                self.take(&path);
                self.append(&path, &bytes)?;
                self.finish(&path);
            }
            Action::Patch { file, keeps_mtime } => {
                let path = self.regular_file(file)?;
                self.patch(&path, *keeps_mtime)?;
            }
            Action::SlowSave {
                file,
                size,
                pieces,
                pause_ms,
            } => {
                let path = self.regular_file(file)?;
                self.truncate(&path)?;
                return Some(self.slowly(&path, *size, *pieces, *pause_ms));
            }
            Action::SaveByRename { file, size } => {
                let path = self.regular_file(file)?;
                let draft = sibling(&path, &format!("draft {}", self.step()));
                let bytes = self.bytes(0, *size);
                self.write_new(&draft, &bytes)?;
                self.rename(&draft, &path)?;
            }
            Action::SaveWithBackup {
                file,
                size,
                keeps_backup,
            } => {
                let path = self.regular_file(file)?;
                let backup = format!("{path}~");
                if self.is_spelled_otherwise(&backup) {
                    return None;
                }
                self.rename(&path, &backup)?;
                let bytes = self.bytes(0, *size);
                self.write_new(&path, &bytes)?;
                if !keeps_backup {
                    self.unlink(&backup)?;
                }
            }
            Action::OfficeSave { file, size, pause_ms } => return self.office_save(file, *size, *pause_ms),
            Action::Hold { file } => {
                let path = self.regular_file(file)?;
                self.hold(&path)?;
            }
            Action::WriteHeld { size } => {
                let bytes = self.bytes(0, *size);
                if !bytes.is_empty() {
                    self.write_held(&bytes)?;
                }
            }
            _ => return None,
        }
        Some(Vec::new())
    }

    fn patch(&mut self, path: &str, keeps_mtime: bool) -> Option<()> {
        let Item::File { size, mtime_ns, .. } = self.item(path)? else {
            return None;
        };
        let fresh = self.bytes(0, size.min(64));
        // A file too short to be told from others after the write is left alone.
        let fresh = fresh
            .get(..usize::try_from(size).ok()?.min(fresh.len()))?
            .to_vec();
        if fresh.len() < 8 {
            return None;
        }
        self.take(path);
        self.write_at(path, (size - fresh.len() as u64) / 2, &fresh)?;
        if keeps_mtime {
            self.set_mtime(path, mtime_ns)?;
        }
        self.finish(path);
        Some(())
    }

    fn slowly(&mut self, path: &str, size: u64, pieces: u64, pause_ms: u64) -> Vec<Later> {
        (0..pieces)
            .map(|number| Later {
                pause_ms,
                piece: Piece::Append {
                    path: path.to_owned(),
                    bytes: self.bytes(number, size),
                    is_last: number + 1 == pieces,
                },
            })
            .collect()
    }

    fn office_save(&mut self, file: &crate::script::Ref, size: u64, pause_ms: u64) -> Option<Vec<Later>> {
        let path = self.regular_file(file)?;
        let draft = sibling(&path, &format!("~WRD{:04}.tmp", self.step()));
        let aside = sibling(&path, &format!("~WRL{:04}.tmp", self.step()));
        let bytes = self.bytes(0, size);
        self.write_new(&draft, &bytes)?;
        let rename = |from: &str, to: &str| Later {
            pause_ms,
            piece: Piece::Rename {
                from: from.to_owned(),
                to: to.to_owned(),
            },
        };
        Some(vec![
            rename(&path, &aside),
            rename(&draft, &path),
            Later {
                pause_ms,
                piece: Piece::Remove { path: aside },
            },
        ])
    }
}
