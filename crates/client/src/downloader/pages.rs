//! The pages of a long manifest as they arrive: those that the older version had are not fetched.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use cairn_api::sync::{Fetch, FetchItem, FetchPart};
use cairn_codec::{CodecError, decode_chunk, decode_delta};
use cairn_core::ids::ChunkHash;
use cairn_core::limits::FILE_CHUNKS;
use cairn_core::manifest::EncodedPage;

use super::assemble::WriteError;
use super::incoming::{Incoming, Part, malformed};
use super::large::check_status;
use super::older::Older;
use super::{DownloadError, Downloader, Wanted};

/// Pages that are remembered with one write.
const KEPT_AT_ONCE: usize = 64;

/// The pages.
pub(super) struct Pages {
    incoming: Incoming,
    left: u64,
    older: Option<Arc<Older>>,
    /// Pages that came before they were needed: none from a server that sends them in the order of reading.
    held: HashMap<ChunkHash, Bytes>,
    /// The page that was needed last: a file of zeros is one page over and over.
    last: Option<(ChunkHash, Bytes)>,
    /// Pages that came and are not remembered yet.
    fresh: Vec<EncodedPage>,
}

impl Pages {
    /// Asks for the pages of a file.
    pub(super) async fn open(
        downloader: &Downloader,
        wanted: &Wanted,
        older: Option<Arc<Older>>,
    ) -> Result<Self, DownloadError> {
        let known = older.as_ref().and_then(|older| older.content_seq);
        let item = FetchItem {
            node: wanted.node,
            content_seq: wanted.content_seq,
            part: known.map_or(FetchPart::Pages, |base| FetchPart::PagesFrom { base }),
        };
        let request = Fetch {
            namespace: downloader.namespace,
            items: vec![item],
        };
        let mut incoming = Incoming::open(downloader.remote.as_ref(), request).await?;
        let start = incoming.start(0).await?;
        check_status(start.status)?;
        if start.frames > FILE_CHUNKS as u64 {
            return Err(malformed("a manifest has more pages than chunks are allowed").into());
        }
        Ok(Self {
            incoming,
            left: start.frames,
            older,
            held: HashMap::new(),
            last: None,
            fresh: Vec::new(),
        })
    }

    /// The page with this hash.
    pub(super) async fn get(
        &mut self,
        downloader: &Downloader,
        hash: ChunkHash,
    ) -> Result<Bytes, DownloadError> {
        if let Some((last, bytes)) = &self.last
            && *last == hash
        {
            return Ok(bytes.clone());
        }
        let known = self.older.as_ref().and_then(|older| older.base.page(&hash));
        let bytes = match (self.held.get(&hash), known) {
            (Some(bytes), _) => bytes.clone(),
            (None, Some(bytes)) => Bytes::copy_from_slice(bytes),
            (None, None) => self.receive(downloader, hash).await?,
        };
        self.last = Some((hash, bytes.clone()));
        Ok(bytes)
    }

    /// Reads on until the page comes.
    async fn receive(&mut self, downloader: &Downloader, hash: ChunkHash) -> Result<Bytes, DownloadError> {
        while self.left > 0 {
            self.left -= 1;
            let part = self.incoming.part().await?;
            let (found, bytes) = self.decode(&part).map_err(|_| WriteError::Damaged)?;
            self.fresh.push(EncodedPage {
                hash: found,
                bytes: bytes.to_vec(),
            });
            if self.fresh.len() >= KEPT_AT_ONCE {
                self.keep(downloader).await?;
            }
            if found == hash {
                return Ok(bytes);
            }
            self.held.insert(found, bytes);
        }
        Err(malformed("a page of the manifest is missing").into())
    }

    fn decode(&self, part: &Part) -> Result<(ChunkHash, Bytes), CodecError> {
        match part {
            Part::Whole(frame) => Ok((frame.hash, decode_chunk(&frame.chunk, &frame.hash)?)),
            Part::Delta(frame) => {
                let page = |hash| self.older.as_ref().and_then(|older| older.base.page(hash));
                // A page that is not known leaves a gap, and then the hash is another.
                let base: Vec<u8> = frame.base.iter().filter_map(page).flatten().copied().collect();
                Ok((frame.hash, decode_delta(&frame.delta, &base, &frame.hash)?))
            }
        }
    }

    /// Remembers what came, for the next version.
    pub(super) async fn keep(&mut self, downloader: &Downloader) -> Result<(), DownloadError> {
        if !self.fresh.is_empty() {
            downloader
                .state
                .keep_pages(&std::mem::take(&mut self.fresh))
                .await?;
        }
        Ok(())
    }
}
