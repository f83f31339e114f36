//! Every version of every file that a server has, also of files that are deleted, read over the devices' protocol.

use std::collections::HashSet;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use blake3::{Hash, Hasher};
use bytes::Bytes;
use cairn_api::frame::{Frame, FrameReader};
use cairn_api::sync::{
    ChangesReply, ChangesRequest, Fetch, FetchItem, FetchPart, FetchStart, FetchStatus, Login, LoginReply,
    from_cbor, path, to_cbor,
};
use cairn_codec::decode_chunk;
use cairn_core::change::{Change, JournalEntry};
use cairn_core::ids::{DeviceId, NodeId};
use cairn_core::limits;
use cairn_core::node::NodeKind;
use cairn_core::rev::Seq;

use crate::raw::send;

/// Versions that are fetched at once.
const VERSIONS_AT_ONCE: usize = 200;

/// A version: which node, written by which entry of the journal.
type Version = (NodeId, Seq);

/// Reads the journal from its beginning and fetches every version that it names. Returns the BLAKE3 of each.
///
/// # Errors
/// When the server refuses, or has not got a version whole.
pub fn contents(server: SocketAddr, email: &str, password: &str) -> Result<HashSet<Hash>> {
    let reader = Reader::login(server, email, password)?;
    let versions = reader.versions()?;
    let mut contents = HashSet::new();
    for some in versions.chunks(VERSIONS_AT_ONCE) {
        contents.extend(reader.fetch(some)?);
    }
    Ok(contents)
}

/// A device that only reads.
struct Reader {
    server: SocketAddr,
    account: LoginReply,
}

impl Reader {
    fn login(server: SocketAddr, email: &str, password: &str) -> Result<Self> {
        let login = Login {
            email: email.to_owned(),
            password: password.to_owned(),
            device_name: "historian".to_owned(),
            device: DeviceId::new(7_000)?,
            code: None,
        };
        let post = format!("POST {}", path::LOGIN);
        let answer = send(server, &post, &[], &to_cbor(&login))?;
        ensure!(answer.status == 200, "no login: {:?}", answer.error()?);
        Ok(Self {
            server,
            account: answer.message()?,
        })
    }

    fn post(&self, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        let bearer = format!("Bearer {}", self.account.token);
        let answer = send(
            self.server,
            &format!("POST {path}"),
            &[("authorization", &bearer)],
            body,
        )?;
        ensure!(answer.status == 200, "{path}: {:?}", answer.error()?);
        Ok(answer.body)
    }

    fn versions(&self) -> Result<Vec<Version>> {
        let mut versions = Vec::new();
        let mut at = self.account.origin;
        loop {
            let request = ChangesRequest {
                cursor: at,
                limit: limits::CHANGES_PAGE as u32,
                wait_seconds: 0,
            };
            let reply = self.post(path::CHANGES, &to_cbor(&request))?;
            let ChangesReply::Page {
                entries,
                cursor,
                has_more,
            } = from_cbor(&reply)?
            else {
                bail!("the journal has no beginning");
            };
            versions.extend(entries.iter().filter_map(version_of));
            at = cursor;
            if !has_more {
                return Ok(versions);
            }
        }
    }

    fn fetch(&self, versions: &[Version]) -> Result<Vec<Hash>> {
        let item = |(node, content_seq): &Version| FetchItem {
            node: *node,
            content_seq: *content_seq,
            part: FetchPart::Chunks {
                first: 0,
                count: u64::from(u32::MAX),
            },
        };
        let request = Fetch {
            namespace: self.account.root,
            items: versions.iter().map(item).collect(),
        };
        let mut reader = FrameReader::new();
        reader.push(&self.post(path::FETCH, &to_cbor(&request))?);
        let mut hashes = Vec::new();
        for (node, seq) in versions {
            let what = || format!("version {seq} of node {node}");
            hashes.push(read(&mut reader).with_context(what)?);
        }
        ensure!(reader.next_frame()? == Some(Frame::End), "the answer has no end");
        Ok(hashes)
    }
}

/// The version that an entry wrote, when it is one of a file.
fn version_of(entry: &JournalEntry) -> Option<Version> {
    let is_version = matches!(entry.change, Change::Created | Change::Edited) && entry.kind == NodeKind::File;
    is_version.then_some((entry.node, entry.seq))
}

/// Reads one item of an answer.
fn read(frames: &mut FrameReader) -> Result<Hash> {
    let start: FetchStart = from_cbor(&message(frames)?)?;
    ensure!(start.status == FetchStatus::Found, "{:?}", start.status);
    let mut hasher = Hasher::new();
    for _ in 0..start.frames {
        let Some(Frame::Chunk(frame)) = frames.next_frame()? else {
            bail!("a chunk is missing");
        };
        hasher.update(&decode_chunk(&frame.chunk, &frame.hash)?);
    }
    Ok(hasher.finalize())
}

fn message(frames: &mut FrameReader) -> Result<Bytes> {
    match frames.next_frame()? {
        Some(Frame::Message(message)) => Ok(message),
        other => bail!("{other:?} stands where an item begins"),
    }
}
