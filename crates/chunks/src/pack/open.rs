//! What happens before a store takes its first call.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_core::runtime::Runtime;

use super::Shared;
use super::epoch::EpochFile;
use super::files::{PackDir, sync_folder};
use super::footer::FrameEntry;
use super::index::PackRow;
use super::pending::Entry;
use super::reader::{Location, PackNumber, Packs};
use super::recover::{self, PackName, Readable};
use crate::keyring::Keyring;
use crate::{ChunkError, Result};

/// Creates a folder and those above it; durable when this returns. Blocks.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut at = path;
    while !at.exists() {
        missing.push(at.to_owned());
        match at.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => at = parent,
            _ => break,
        }
    }
    for folder in missing.iter().rev() {
        let failed = |error| ChunkError::io("create", folder, error);
        std::fs::create_dir(folder).map_err(failed)?;
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_folder(parent.unwrap_or(Path::new("."))).map_err(failed)?;
    }
    Ok(())
}

/// Reads keyring, epoch and the headers of all packs. Blocks.
pub(crate) fn prepare(
    folder: &Path,
    dir: Arc<dyn PackDir>,
    runtime: &Runtime,
) -> Result<(Packs, Vec<PackName>, EpochFile)> {
    let mut found = recover::list(&*dir)?;
    let path = folder.join("keyring");
    let ring = match Keyring::load(&path)? {
        Some(ring) => ring,
        None if found.is_empty() => Keyring::create(&path, &*runtime.entropy)?,
        None => {
            let what = "there are packs but no keyring to read them; restore it from a backup".to_owned();
            return Err(ChunkError::Unopenable { path, what });
        }
    };
    let mut readable = Vec::with_capacity(found.len());
    for pack in found.drain(..) {
        match recover::examine(&*dir, &ring, &pack)? {
            Readable::Yes => readable.push(pack),
            Readable::Empty => {
                let name = pack.file_name();
                dir.remove(&name)
                    .and_then(|()| dir.sync())
                    .map_err(|error| ChunkError::io("remove", &dir.path().join(&name), error))?;
            }
            Readable::No(error) => tracing::error!(
                pack.id = %pack.id,
                %error,
                "the header of a pack is damaged; its chunks count as missing"
            ),
        }
    }
    let epoch = EpochFile::open(&folder.join("epoch"), !readable.is_empty())?;
    Ok((Packs::new(dir, ring), readable, epoch))
}

/// Makes the index say what the packs say.
pub(crate) async fn complete_index(shared: &Arc<Shared>, found: Vec<PackName>) -> Result<()> {
    let rows = shared.index.packs().await?;
    let there: HashSet<_> = found.iter().map(|pack| pack.id).collect();
    let mut known = HashMap::new();
    for row in rows {
        if there.contains(&row.id) {
            shared.packs.register(row.number, row.id);
            known.insert(row.id, row);
        } else {
            if row.complete {
                tracing::error!(pack.id = %row.id, "a pack is gone or unreadable; its chunks count as missing");
            }
            shared.index.drop_pack(row.number).await?;
        }
    }
    for pack in found {
        let row = known.get(&pack.id).copied();
        if pack.sealed && row.is_some_and(|row| row.complete) {
            continue;
        }
        adopt(shared, pack, row.map(|row| row.number)).await?;
    }
    Ok(())
}

async fn adopt(shared: &Arc<Shared>, pack: PackName, known: Option<PackNumber>) -> Result<()> {
    let id = pack.id;
    let reading = Arc::clone(shared);
    let recovered = move || recover::recover(&*reading.packs.dir, &reading.packs.ring, &pack);
    let entries = shared.runtime.blocking(recovered).await?;
    let number = known.unwrap_or_else(|| shared.packs.next_number());
    if entries.is_empty() {
        // An unsealed pack without frames is removed by recovery.
        return shared.index.drop_pack(number).await;
    }
    shared.packs.register(number, id);
    let touch_epoch = shared.epoch.get();
    let chunk = |entry: &FrameEntry| {
        let at = Location {
            pack: number,
            offset: entry.offset,
            len: entry.len,
        };
        (entry.hash, Entry { at, touch_epoch })
    };
    let chunks: Vec<_> = entries.iter().map(chunk).collect();
    shared
        .index
        .adopt(
            PackRow {
                number,
                id,
                complete: true,
            },
            chunks,
        )
        .await
}
