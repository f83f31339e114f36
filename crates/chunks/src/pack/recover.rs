//! Finding the chunks of packs that the index does not know completely.
//!
//! A sealed pack says in its footer what it holds. A pack that its process did not seal is read frame by frame to the
//! first bad one: what follows was never acknowledged. It is cut there and sealed; nothing is ever appended to it.

use std::io;

use cairn_codec::decode_unnamed;
use cairn_core::ids::ChunkHash;

use super::files::{PackDir, PackFile};
use super::footer::{FOOTER_MAX_BYTES, FrameEntry, TRAILER_LEN, parse_trailer};
use super::format::{
    FRAME_HEADER_LEN, FRAMES_MAX, FormatError, FrameContent, FrameHeader, HEADER_LEN, PackCipher, PackHeader,
    PackId, TAG_LEN,
};
use super::reader::{open_name, path_of, sealed_name};
use crate::keyring::Keyring;
use crate::{ChunkError, EncodedChunk, Result};

/// A pack's file.
#[derive(Debug, Clone)]
pub(crate) struct PackName {
    pub(crate) id: PackId,
    pub(crate) sealed: bool,
}

impl PackName {
    pub(crate) fn file_name(&self) -> String {
        if self.sealed {
            sealed_name(self.id)
        } else {
            open_name(self.id)
        }
    }
}

/// The packs in a folder. Blocks.
pub(crate) fn list(dir: &dyn PackDir) -> Result<Vec<PackName>> {
    let names = dir
        .list()
        .map_err(|error| ChunkError::io("list", dir.path(), error))?;
    let mut packs: Vec<_> = names
        .iter()
        .filter_map(|name| {
            let (stem, sealed) = match name.split_once('.')? {
                (stem, "pack") => (stem, true),
                (stem, "open") => (stem, false),
                _ => return None,
            };
            Some(PackName {
                id: PackId::parse(stem)?,
                sealed,
            })
        })
        .collect();
    packs.sort_by_key(|pack| *pack.id.as_bytes());
    Ok(packs)
}

/// Whether a pack can be read.
pub(crate) enum Readable {
    /// It can.
    Yes,
    /// It is an unsealed file without a whole header: nothing in it was ever acknowledged.
    Empty,
    /// Its header is damaged.
    No(FormatError),
}

/// Looks at a pack's header. Blocks.
///
/// # Errors
/// [`ChunkError::Unopenable`] when the ring lacks the key that the pack names.
pub(crate) fn examine(dir: &dyn PackDir, ring: &Keyring, pack: &PackName) -> Result<Readable> {
    let name = pack.file_name();
    let failed = |error| ChunkError::io("read", &path_of(dir, &name), error);
    let file = dir.open(&name).map_err(failed)?;
    let mut bytes = [0; HEADER_LEN];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Ok(if pack.sealed {
                Readable::No(FormatError::Short)
            } else {
                Readable::Empty
            });
        }
        Err(error) => return Err(failed(error)),
    }
    let header = match PackHeader::parse(&bytes) {
        Ok(header) if header.pack == pack.id => header,
        Ok(_) => return Ok(Readable::No(FormatError::Misplaced)),
        // The header is durable before the first frame is written.
        Err(_) if !pack.sealed && file.len().map_err(failed)? == HEADER_LEN as u64 => {
            return Ok(Readable::Empty);
        }
        Err(FormatError::Version { found }) => {
            let what = format!("it has version {found}, later than this program knows; update the program");
            return Err(ChunkError::Unopenable {
                path: path_of(dir, &name),
                what,
            });
        }
        Err(error) => return Ok(Readable::No(error)),
    };
    if !ring.has(header.key) {
        let what = format!(
            "the keyring lacks key {}, which this pack is encrypted with; restore the keyring from a backup",
            header.key
        );
        return Err(ChunkError::Unopenable {
            path: path_of(dir, &name),
            what,
        });
    }
    Ok(if header.open(ring).is_some() {
        Readable::Yes
    } else {
        Readable::No(FormatError::Tag)
    })
}

/// Finds the chunks of a readable pack; seals it when it is not. Blocks.
pub(crate) fn recover(dir: &dyn PackDir, ring: &Keyring, pack: &PackName) -> Result<Vec<FrameEntry>> {
    let name = pack.file_name();
    let path = path_of(dir, &name);
    let file = dir
        .open(&name)
        .map_err(|error| ChunkError::io("open", &path, error))?;
    let failed = |error| ChunkError::io("read", &path, error);
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    let Some(cipher) = PackHeader::parse(&bytes)
        .ok()
        .and_then(|header| header.open(ring))
    else {
        let what = "its header changed while it was being opened".to_owned();
        return Err(ChunkError::Unopenable { path, what });
    };
    if pack.sealed {
        match read_footer(&*file, &cipher).map_err(failed)? {
            Ok(entries) => return Ok(entries),
            Err(error) => tracing::error!(
                pack.id = %pack.id,
                %error,
                "the footer of a pack is damaged; its frames are read instead"
            ),
        }
    }
    let scan = scan(&*file, &cipher, !pack.sealed).map_err(failed)?;
    if !pack.sealed {
        let len = file.len().map_err(failed)?;
        tracing::info!(
            pack.id = %pack.id,
            chunk_count = scan.entries.len(),
            cut_bytes = len.saturating_sub(scan.end),
            "sealing a pack that an earlier run left open"
        );
        if scan.entries.is_empty() {
            dir.remove(&name)
                .and_then(|()| dir.sync())
                .map_err(|error| ChunkError::io("remove", &path, error))?;
        } else {
            file.truncate(scan.end)
                .map_err(|error| ChunkError::io("cut", &path, error))?;
            seal(dir, &*file, &cipher, scan.entries.clone(), scan.end)?;
        }
    }
    Ok(scan.entries)
}

/// Writes the footer of a pack whose frames end at `end` and gives the pack its final name; durable when this returns.
/// Blocks.
pub(crate) fn seal(
    dir: &dyn PackDir,
    file: &dyn PackFile,
    cipher: &PackCipher,
    entries: Vec<FrameEntry>,
    end: u64,
) -> Result<()> {
    let (from, to) = (open_name(cipher.pack()), sealed_name(cipher.pack()));
    file.write_all_at(&cipher.footer(entries, end), end)
        .and_then(|()| file.sync())
        .and_then(|()| dir.rename(&from, &to))
        .and_then(|()| dir.sync())
        .map_err(|error| ChunkError::io("seal", &path_of(dir, &from), error))
}

fn read_footer(
    file: &dyn PackFile,
    cipher: &PackCipher,
) -> io::Result<std::result::Result<Vec<FrameEntry>, FormatError>> {
    let len = file.len()?;
    let Some(trailer_at) = len.checked_sub(TRAILER_LEN as u64) else {
        return Ok(Err(FormatError::Short));
    };
    let mut trailer = [0; TRAILER_LEN];
    file.read_exact_at(&mut trailer, trailer_at)?;
    let (offset, footer_len) = match parse_trailer(&trailer) {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    if footer_len as usize > FOOTER_MAX_BYTES || offset.checked_add(u64::from(footer_len)) != Some(trailer_at)
    {
        return Ok(Err(FormatError::Values));
    }
    let mut frame = vec![0; footer_len as usize];
    file.read_exact_at(&mut frame, offset)?;
    Ok(cipher.open_footer(frame))
}

struct Scan {
    entries: Vec<FrameEntry>,
    /// Where the last good frame ends.
    end: u64,
}

/// Reads frames up to the end, the footer, or the first bad one; without `strict` goes on behind a bad body, since in
/// a sealed pack everything was acknowledged once.
fn scan(file: &dyn PackFile, cipher: &PackCipher, strict: bool) -> io::Result<Scan> {
    let len = file.len()?;
    let mut scan = Scan {
        entries: Vec::new(),
        end: HEADER_LEN as u64,
    };
    let mut ordinal = 0;
    let mut at = scan.end;
    while at + (FRAME_HEADER_LEN + TAG_LEN) as u64 <= len && ordinal < FRAMES_MAX {
        let mut head = [0; FRAME_HEADER_LEN];
        file.read_exact_at(&mut head, at)?;
        let header = match FrameHeader::parse(&head, cipher.pack()) {
            Ok(header) if header.ordinal == ordinal => header,
            _ => break,
        };
        let FrameContent::Chunk(kind, codec) = header.content else {
            break;
        };
        let next = at + u64::from(header.frame_len());
        if next > len {
            break;
        }
        let mut body = vec![0; header.stored_len as usize + TAG_LEN];
        file.read_exact_at(&mut body, at + FRAME_HEADER_LEN as u64)?;
        match cipher.open(&header, &mut body) {
            Ok(content) => {
                body.truncate(content);
                let (plain_len, plain_crc32) = (header.plain_len, header.plain_crc32);
                let chunk = EncodedChunk {
                    codec,
                    plain_len,
                    plain_crc32,
                    bytes: body.into(),
                };
                // What does not decode was put so, against the contract, and has no name to be found by.
                if let Ok(plaintext) = decode_unnamed(&chunk) {
                    let hash = ChunkHash::of(&plaintext);
                    scan.entries.push(FrameEntry {
                        hash,
                        offset: at,
                        len: header.frame_len(),
                        kind,
                    });
                }
            }
            Err(_) if strict => break,
            Err(_) => {}
        }
        scan.end = next;
        at = next;
        ordinal += 1;
    }
    Ok(scan)
}
