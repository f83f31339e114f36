//! Making one version stand.

use cairn_core::conflict::copy_name;
use cairn_core::name::NodeName;
use cairn_core::time::Mtime;

use super::list::Found;
use super::text::Merged;
use super::{ConflictError, Inbox, Keep, Resolution, Resolved};
use crate::fs::{DiskPath, Fingerprint};
use crate::state::{LocalRow, StateBatch};

/// How many numbers are tried for the copy's plain name.
const NUMBERED_NAMES: u32 = 1_000;

impl Inbox<'_> {
    /// Makes one version stand. What leaves its place waits in the stage for a second look, as everything that syncing
    /// displaces, and goes to the trash.
    pub(crate) async fn resolve(&self, resolution: &Resolution) -> Result<Resolved, ConflictError> {
        let found = self.find(&resolution.path).await?;
        let resolved = match resolution.keep {
            Keep::Both => self.keep_both(&found, resolution.name.as_deref()).await?,
            Keep::Mine => self.keep_mine(&found).await?,
            Keep::Theirs => {
                self.refuse_folders(&found)?;
                self.take_copy_away(&found).await?;
                stands(&found)
            }
            Keep::Merged => self.keep_merged(&found, resolution.markers).await?,
        };
        if !resolved.is_open {
            self.settle(&found).await?;
        }
        Ok(resolved)
    }

    /// Merges both versions if that is clean; whether it was. `limit` is the longest file that is merged.
    pub(super) async fn merge_if_clean(&self, found: &Found, limit: u64) -> Result<bool, ConflictError> {
        let is_short = |row: &LocalRow| row.fingerprint.size <= limit;
        if !is_short(&found.copy) || !is_short(&found.original) {
            return Ok(false);
        }
        match self.keep_merged(found, false).await {
            Ok(_) => {
                self.settle(found).await?;
                Ok(true)
            }
            Err(ConflictError::NoMerge { .. } | ConflictError::Overlapping { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn settle(&self, found: &Found) -> Result<(), ConflictError> {
        let batch = StateBatch {
            settled_conflicts: vec![found.copy.node],
            ..StateBatch::default()
        };
        Ok(self.state.apply(self.namespace, batch).await?)
    }

    async fn keep_mine(&self, found: &Found) -> Result<Resolved, ConflictError> {
        self.refuse_folders(found)?;
        let original = self.as_scanned(&found.original, &found.original_path).await?;
        let copy = self.as_scanned(&found.copy, &found.copy_path).await?;
        self.applier
            .swap_with(
                (found.original.node, &found.original_path, original),
                (&found.copy_path, copy),
            )
            .await?;
        Ok(stands(found))
    }

    async fn keep_both(&self, found: &Found, name: Option<&str>) -> Result<Resolved, ConflictError> {
        let folder = found.copy_path.parent().unwrap_or_default();
        let at = match name {
            Some(name) => {
                let at = folder.join(plain_name(name)?.as_str());
                self.rename(&found.copy_path, &at).await?;
                at
            }
            None => self.rename_numbered(found, &folder).await?,
        };
        Ok(Resolved {
            other: Some(at.to_string()),
            ..stands(found)
        })
    }

    async fn rename_numbered(&self, found: &Found, folder: &DiskPath) -> Result<DiskPath, ConflictError> {
        let original = &found.original.entry.place.name;
        for number in 2..NUMBERED_NAMES {
            let at = folder.join(original.with_suffix(&format!(" ({number})")).as_str());
            match self.rename(&found.copy_path, &at).await {
                Ok(()) => return Ok(at),
                Err(ConflictError::BadName { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ConflictError::BadName {
            name: original.to_string(),
            why: "all numbers are taken",
        })
    }

    async fn rename(&self, from: &DiskPath, to: &DiskPath) -> Result<(), ConflictError> {
        let (source, target) = (from.clone(), to.clone());
        match self.on_disk(move |fs| fs.rename(&source, &target)).await {
            Err(error) if error.is_already_exists() => Err(ConflictError::BadName {
                name: to.to_string(),
                why: "something has that name",
            }),
            Err(error) if error.is_not_found() => Err(Self::changed(from)),
            result => Ok(result?),
        }
    }

    async fn keep_merged(&self, found: &Found, may_mark: bool) -> Result<Resolved, ConflictError> {
        self.refuse_folders(found)?;
        let path = found.original_path.to_string();
        let ready = match self.merge(found).await? {
            Merged::Clean(ready) => ready,
            Merged::Overlapping(ready) if may_mark => return self.write_markers(found, ready.text).await,
            Merged::Overlapping(_) => return Err(ConflictError::Overlapping { path }),
            Merged::Impossible(why) => return Err(ConflictError::NoMerge { path, why }),
        };
        let staged = self.stage(ready.text, found).await?;
        self.applier
            .swap_in(
                (found.original.node, &found.original_path, ready.original),
                &staged,
            )
            .await?;
        // The merged file stands; should the copy have changed since it was read, it stays.
        self.applier
            .take_away(found.copy.node, &found.copy_path, ready.copy)
            .await?;
        Ok(stands(found))
    }

    /// Writes the text with markers beside the file. The conflict stays.
    async fn write_markers(&self, found: &Found, text: String) -> Result<Resolved, ConflictError> {
        let staged = self.stage(text, found).await?;
        let folder = found.original_path.parent().unwrap_or_default();
        let name = found.original.entry.place.name.with_suffix(" (to merge)");
        for number in 1..NUMBERED_NAMES {
            let name = match number {
                1 => name.clone(),
                _ => name.with_suffix(&format!(" ({number})")),
            };
            let at = folder.join(name.as_str());
            let (source, target) = (staged.clone(), at.clone());
            match self.on_disk(move |fs| fs.place(&source, &target)).await {
                Err(error) if error.is_already_exists() => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    return Ok(Resolved {
                        path: at.to_string(),
                        other: None,
                        is_open: true,
                    });
                }
            }
        }
        self.on_disk(move |fs| fs.unstage(&staged)).await?;
        Err(ConflictError::BadName {
            name: name.to_string(),
            why: "all numbers are taken",
        })
    }

    /// Writes a text into the stage; it is as new as it is.
    async fn stage(&self, text: String, found: &Found) -> Result<String, ConflictError> {
        let staged = self.applier.fresh_staged_name("merge");
        let now = self.runtime.clock.now().as_millis();
        let mtime = Mtime {
            seconds: now.div_euclid(1_000),
            nanos: now.rem_euclid(1_000) as u32 * 1_000_000,
        };
        let (name, executable) = (staged.clone(), found.original.entry.attributes.executable);
        self.on_disk(move |fs| {
            let mut file = fs.stage(&name)?;
            file.write_at(0, text.as_bytes())?;
            file.finish(text.len() as u64, executable, mtime)
        })
        .await?;
        Ok(staged)
    }

    async fn take_copy_away(&self, found: &Found) -> Result<(), ConflictError> {
        let copy = self.as_scanned(&found.copy, &found.copy_path).await?;
        Ok(self
            .applier
            .take_away(found.copy.node, &found.copy_path, copy)
            .await?)
    }

    /// The state of a file, which must be the one that was scanned.
    async fn as_scanned(&self, row: &LocalRow, path: &DiskPath) -> Result<Fingerprint, ConflictError> {
        let at = path.clone();
        match self.on_disk(move |fs| fs.metadata(&at)).await? {
            Some(found) if found.fingerprint == row.fingerprint => Ok(found.fingerprint),
            _ => Err(Self::changed(path)),
        }
    }

    fn refuse_folders(&self, found: &Found) -> Result<(), ConflictError> {
        for (row, path) in [
            (&found.original, &found.original_path),
            (&found.copy, &found.copy_path),
        ] {
            if row.entry.is_directory() {
                return Err(ConflictError::Folder {
                    path: path.to_string(),
                });
            }
        }
        Ok(())
    }
}

fn stands(found: &Found) -> Resolved {
    Resolved {
        path: found.original_path.to_string(),
        other: None,
        is_open: false,
    }
}

/// A name that is none of a conflicted copy.
fn plain_name(name: &str) -> Result<NodeName, ConflictError> {
    let bad = |why| ConflictError::BadName {
        name: name.to_owned(),
        why,
    };
    let legal = NodeName::new(name).map_err(|_illegal| bad("that is no legal name"))?;
    match copy_name(&legal) {
        Some(_) => Err(bad("it would be a conflicted copy again")),
        None => Ok(legal),
    }
}
