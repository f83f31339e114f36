//! A folder as one ZIP archive, streamed: its length is known before its first byte, and any part of it can be sent alone.
//!
//! Contents are stored as they are: chunks are compressed for the wire by whoever wants that. The checksum of a file
//! stands before its bytes, put together from those that every chunk carries, so that the archive can be read as it comes.
//! *Source:* APPNOTE.TXT 6.3.10, sections 4.3 and 4.5; the extended timestamp is Info-ZIP's.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use cairn_core::limits;
use cairn_core::node::{Content, FileContent};
use cairn_core::time::Mtime;

use super::list::{Listing, Walk};
use super::stream::{ByteRange, Downloader};
use super::{FileError, FileResult, Files, Located};
use crate::error::ServiceError;
use crate::service::browse;
use crate::service::contents::{ChunkWalk, damaged};
use crate::state::State;

/// Files and folders of one archive, as Dropbox has it.
const MOST_ENTRIES: usize = 10_000;
/// Chunks whose checksums are read at once.
const BATCH_CHUNKS: usize = 8;
/// What a field of four bytes says when the number stands in the extra field.
const ELSEWHERE: u32 = u32::MAX;
/// The first size and offset that four bytes cannot hold.
const LONG: u64 = ELSEWHERE as u64;
const LOCAL_BYTES: u64 = 30;
const CENTRAL_BYTES: u64 = 46;
const TIME_EXTRA_BYTES: u64 = 9;
const END_BYTES: u64 = 22;
const LONG_END_BYTES: u64 = 56 + 20;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;
/// Unix, so that modes are understood; of version 4.5 of the format.
const MADE_BY: u16 = (3 << 8) | 45;

/// A folder as an archive that can be sent.
pub(crate) struct Archive {
    entries: Vec<Entry>,
    directory_at: u64,
    /// Its bytes.
    pub(crate) len: u64,
}

struct Entry {
    name: String,
    /// `None` for a folder.
    file: Option<FileContent>,
    mtime: Mtime,
    executable: bool,
    at: u64,
}

impl Files<'_> {
    /// Plans the archive of a folder as it is now. Links are left out: what they point to is on no server.
    pub(crate) async fn archive(&self, folder: &Located) -> FileResult<Archive> {
        if folder.node.content != Content::Directory {
            return Err(FileError::NotFolder);
        }
        let at = browse::head(self.state, self.namespace).await?.seq;
        let above = folder.folders.as_ref().map_or(0, Vec::len);
        let mut entries = vec![entry(folder, above)?];
        let listing = Listing {
            folder: folder.node.id,
            recursive: true,
            deleted: false,
            at,
        };
        let mut walk = Some(Walk::of(folder.node.id));
        while let Some(from) = walk {
            let (found, next) = self.list(&listing, from, limits::LISTING_PAGE).await?;
            let real = found
                .iter()
                .filter(|found| !matches!(found.node.content, Content::Symlink(_)));
            for located in real {
                entries.push(entry(located, above)?);
            }
            if entries.len() > MOST_ENTRIES {
                return Err(FileError::TooManyFiles);
            }
            walk = next;
        }
        Ok(Archive::plan(entries))
    }
}

fn entry(located: &Located, above: usize) -> FileResult<Entry> {
    let names = located.names().ok_or(FileError::NotFound)?;
    let names: Vec<&str> = names[above..].iter().map(|name| name.as_str()).collect();
    let mut name = names.join("/");
    let file = match &located.node.content {
        Content::File(file) => Some(file.clone()),
        _ => {
            name.push('/');
            None
        }
    };
    Ok(Entry {
        name,
        file,
        mtime: located.node.attributes.mtime,
        executable: located.node.attributes.executable,
        at: 0,
    })
}

impl Archive {
    fn plan(mut entries: Vec<Entry>) -> Self {
        let mut at = 0;
        for entry in &mut entries {
            entry.at = at;
            at += entry.local_len() + entry.size();
        }
        let directory_at = at;
        let directory_len: u64 = entries.iter().map(Entry::central_len).sum();
        let mut len = directory_at + directory_len + END_BYTES;
        if is_long(entries.len(), directory_at, directory_len) {
            len += LONG_END_BYTES;
        }
        Self {
            entries,
            directory_at,
            len,
        }
    }

    /// Starts to send a range of the archive, which must lie within it.
    pub(crate) async fn send(
        self,
        state: &Arc<State>,
        range: ByteRange,
    ) -> Result<tokio::sync::mpsc::Receiver<Result<Bytes, ServiceError>>, ServiceError> {
        Downloader::start(state, |downloader| async move {
            let sent = self.run(&downloader, &range).await;
            (downloader, sent.map(|_| ()))
        })
        .await
    }

    /// Says whether the reader is still there.
    async fn run(&self, to: &Downloader, range: &ByteRange) -> Result<bool, ServiceError> {
        let mut directory = BytesMut::new();
        for entry in &self.entries {
            // The directory needs every checksum, also of what is not sent.
            let crc = match &entry.file {
                Some(file) => checksum(&to.state, file).await?,
                None => 0,
            };
            entry.put_central(&mut directory, crc);
            let mut local = BytesMut::new();
            entry.put_local(&mut local, crc);
            if !send_part(to, range, entry.at, &local.freeze()).await? {
                return Ok(false);
            }
            let Some(file) = &entry.file else { continue };
            let start = entry.at + entry.local_len();
            let within = range.start.clamp(start, start + file.size) - start
                ..range.end.clamp(start, start + file.size) - start;
            if !within.is_empty() && !to.content(file, within).await? {
                return Ok(false);
            }
        }
        self.put_end(&mut directory);
        send_part(to, range, self.directory_at, &directory.freeze()).await
    }

    fn put_end(&self, out: &mut BytesMut) {
        let directory_len = out.len() as u64;
        let count = self.entries.len();
        if is_long(count, self.directory_at, directory_len) {
            out.put_u32_le(0x0606_4b50);
            out.put_u64_le(44);
            out.put_u16_le(MADE_BY);
            out.put_u16_le(45);
            out.put_u32_le(0);
            out.put_u32_le(0);
            out.put_u64_le(count as u64);
            out.put_u64_le(count as u64);
            out.put_u64_le(directory_len);
            out.put_u64_le(self.directory_at);
            out.put_u32_le(0x0706_4b50);
            out.put_u32_le(0);
            out.put_u64_le(self.directory_at + directory_len);
            out.put_u32_le(1);
        }
        let short_count = u16::try_from(count).unwrap_or(u16::MAX);
        out.put_u32_le(0x0605_4b50);
        out.put_u16_le(0);
        out.put_u16_le(0);
        out.put_u16_le(short_count);
        out.put_u16_le(short_count);
        out.put_u32_le(short(directory_len));
        out.put_u32_le(short(self.directory_at));
        out.put_u16_le(0);
    }
}

impl Entry {
    fn size(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.size)
    }

    fn is_long(&self) -> bool {
        self.size() >= LONG
    }

    fn local_len(&self) -> u64 {
        LOCAL_BYTES + self.name.len() as u64 + TIME_EXTRA_BYTES + if self.is_long() { 20 } else { 0 }
    }

    /// Bytes of the numbers that the directory's four bytes cannot hold.
    fn central_long_bytes(&self) -> u16 {
        let sizes = if self.is_long() { 16 } else { 0 };
        sizes + if self.at >= LONG { 8 } else { 0 }
    }

    fn central_len(&self) -> u64 {
        let long = match self.central_long_bytes() {
            0 => 0,
            bytes => u64::from(bytes) + 4,
        };
        CENTRAL_BYTES + self.name.len() as u64 + TIME_EXTRA_BYTES + long
    }

    fn put_local(&self, out: &mut BytesMut, crc: u32) {
        out.put_u32_le(0x0403_4b50);
        out.put_u16_le(if self.is_long() { 45 } else { 20 });
        out.put_u16_le(FLAGS);
        out.put_u16_le(0);
        self.put_dos_time(out);
        out.put_u32_le(crc);
        out.put_u32_le(short(self.size()));
        out.put_u32_le(short(self.size()));
        out.put_u16_le(self.name_len());
        let long = if self.is_long() { 20 } else { 0 };
        out.put_u16_le(TIME_EXTRA_BYTES as u16 + long);
        out.put_slice(self.name.as_bytes());
        self.put_time(out);
        if self.is_long() {
            out.put_u16_le(1);
            out.put_u16_le(16);
            out.put_u64_le(self.size());
            out.put_u64_le(self.size());
        }
    }

    fn put_central(&self, out: &mut BytesMut, crc: u32) {
        let long = self.central_long_bytes();
        out.put_u32_le(0x0201_4b50);
        out.put_u16_le(MADE_BY);
        out.put_u16_le(if long > 0 { 45 } else { 20 });
        out.put_u16_le(FLAGS);
        out.put_u16_le(0);
        self.put_dos_time(out);
        out.put_u32_le(crc);
        out.put_u32_le(short(self.size()));
        out.put_u32_le(short(self.size()));
        out.put_u16_le(self.name_len());
        out.put_u16_le(TIME_EXTRA_BYTES as u16 + if long > 0 { long + 4 } else { 0 });
        out.put_u16_le(0);
        out.put_u16_le(0);
        out.put_u16_le(0);
        let mode: u32 = match (&self.file, self.executable) {
            (None, _) => 0o040_755,
            (Some(_), true) => 0o100_755,
            (Some(_), false) => 0o100_644,
        };
        // The lowest byte is DOS's: 16 is a folder.
        out.put_u32_le((mode << 16) | if self.file.is_none() { 16 } else { 0 });
        out.put_u32_le(short(self.at));
        out.put_slice(self.name.as_bytes());
        self.put_time(out);
        if long > 0 {
            out.put_u16_le(1);
            out.put_u16_le(long);
            if self.is_long() {
                out.put_u64_le(self.size());
                out.put_u64_le(self.size());
            }
            if self.at >= LONG {
                out.put_u64_le(self.at);
            }
        }
    }

    /// Paths have at most 256 names of 255 letters: their bytes may be more than two bytes can say, and are cut then.
    fn name_len(&self) -> u16 {
        u16::try_from(self.name.len()).unwrap_or(u16::MAX)
    }

    fn put_time(&self, out: &mut BytesMut) {
        out.put_u16_le(0x5455);
        out.put_u16_le(5);
        out.put_u8(1);
        out.put_i32_le(i32::try_from(self.mtime.seconds).unwrap_or(0));
    }

    /// DOS's date and time: two seconds are one unit, and nothing was before 1980.
    fn put_dos_time(&self, out: &mut BytesMut) {
        let instant = time::OffsetDateTime::from_unix_timestamp(self.mtime.seconds);
        let instant = instant.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        let years = u16::try_from(instant.year() - 1980).unwrap_or(0);
        if !(0..=127).contains(&(instant.year() - 1980)) {
            out.put_u16_le(0);
            out.put_u16_le((1 << 5) | 1);
            return;
        }
        let (hour, minute, second) = instant.to_hms();
        out.put_u16_le((u16::from(hour) << 11) | (u16::from(minute) << 5) | (u16::from(second) / 2));
        out.put_u16_le((years << 9) | (u16::from(u8::from(instant.month())) << 5) | u16::from(instant.day()));
    }
}

fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(ELSEWHERE)
}

const fn is_long(count: usize, directory_at: u64, directory_len: u64) -> bool {
    count >= u16::MAX as usize || directory_at >= LONG || directory_len >= LONG
}

/// Sends what of `bytes`, which stand at `at`, lies in the range; whether the reader is still there.
async fn send_part(to: &Downloader, range: &ByteRange, at: u64, bytes: &Bytes) -> Result<bool, ServiceError> {
    let end = at + bytes.len() as u64;
    let within = range.start.clamp(at, end) - at..range.end.clamp(at, end) - at;
    if within.is_empty() {
        return Ok(true);
    }
    Ok(to
        .block(bytes.slice(within.start as usize..within.end as usize))
        .await)
}

/// The CRC-32 of a content, from those of its chunks.
async fn checksum(state: &State, file: &FileContent) -> Result<u32, ServiceError> {
    let mut walk = ChunkWalk::from_chunk(file, 0).map_err(|error| ServiceError::bad(error.to_string()))?;
    let mut whole = crc32fast::Hasher::new();
    loop {
        let mut hashes = Vec::with_capacity(BATCH_CHUNKS);
        while hashes.len() < BATCH_CHUNKS {
            match walk.next(state).await? {
                Some(entry) => hashes.push(entry.hash),
                None => break,
            }
        }
        if hashes.is_empty() {
            return Ok(whole.finalize());
        }
        let chunks = state.chunks.get_many(&hashes).await;
        for (hash, chunk) in hashes.into_iter().zip(chunks) {
            let chunk = chunk?.ok_or_else(|| damaged(hash, &"it is not in the chunk store"))?;
            let part = crc32fast::Hasher::new_with_initial_len(chunk.plain_crc32, u64::from(chunk.plain_len));
            whole.combine(&part);
        }
    }
}
