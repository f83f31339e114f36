//! Requests that no client of ours would send.

use anyhow::{Context, Result, ensure};
use bytes::{BufMut, BytesMut};
use cairn_api::error::ErrorCode;
use cairn_api::frame::{ChunkFrame, Frame};
use cairn_api::sync::{CommitRequest, path, to_cbor};
use cairn_codec::encode_chunk;
use cairn_core::change::Op;
use cairn_core::ids::{ChunkHash, NamespaceId, NodeId, OpId};
use cairn_core::limits;
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, Place};
use cairn_testkit::device::Device;
use cairn_testkit::raw::{Answer, send};
use cairn_testkit::world::World;

/// A device of the account, as far as the protocol knows it.
struct Session {
    world: World,
    device: Device,
    token: String,
    root: NamespaceId,
}

impl Session {
    fn new() -> Result<Self> {
        let world = World::new()?;
        let device = world.device("ada")?;
        let profile = std::fs::read(device.home().join("profile.json"))?;
        let profile: serde_json::Value = serde_json::from_slice(&profile)?;
        let text = |key: &str| {
            profile[key]
                .as_str()
                .map(str::to_owned)
                .context("the profile lacks something")
        };
        let (token, root) = (text("token")?, text("root")?);
        Ok(Self {
            world,
            device,
            token,
            root: root.parse().ok().context("no namespace")?,
        })
    }

    fn post(&self, path: &str, body: &[u8]) -> Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        send(
            self.world.server.address()?,
            &format!("POST {path}"),
            &[("authorization", &bearer)],
            body,
        )
    }

    fn chunks(&self, body: &[u8]) -> Result<Answer> {
        self.post(&format!("{}?ns={}", path::CHUNKS, self.root), body)
    }

    /// A commit that makes a folder called `name`, in which `placeholder` stands for what is sent instead.
    fn make_folder(&self, id: u8, name: &str, placeholder: &str) -> Result<Answer> {
        let op = Op::Create {
            node: NodeId::new(1_000 + i64::from(id)).ok().context("no id")?,
            place: Place {
                parent: NodeId::ROOT,
                name: NodeName::new(placeholder)?,
            },
            content: Content::Directory,
            attributes: Attributes::default(),
        };
        let request = CommitRequest {
            namespace: self.root,
            op_id: OpId::new([id; 16]),
            groups: vec![vec![op]],
            known: None,
            is_on_behalf: false,
        };
        let mut message = to_cbor(&request);
        // The head of a short text in CBOR tells it from an id that holds the same bytes.
        let text = |text: &str| [&[0x60 + text.len() as u8], text.as_bytes()].concat();
        let (sought, put) = (text(placeholder), text(name));
        let found = message.windows(sought.len()).position(|part| part == sought);
        let start = found.context("the name is not in the message")?;
        message[start..start + put.len()].copy_from_slice(&put);
        let mut body = BytesMut::new();
        Frame::Message(message.into()).encode(&mut body);
        Frame::End.encode(&mut body);
        self.post(path::COMMIT, &body)
    }

    /// The server goes on, and the device too.
    fn is_well(&self) -> Result<()> {
        self.device.write("afterwards", "all is well")?;
        self.device.sync_once()?;
        assert_eq!(self.device.cat("/afterwards")?, b"all is well");
        Ok(())
    }
}

fn refused(answer: &Answer, code: ErrorCode) -> Result<()> {
    let error = answer.error()?;
    ensure!(
        error.code == code && answer.status == code.status(),
        "{} {error:?}",
        answer.status
    );
    ensure!(
        !error.message.is_empty() && !error.request_id.is_empty(),
        "{error:?}"
    );
    Ok(())
}

fn chunk(content: &[u8]) -> BytesMut {
    let frame = ChunkFrame {
        hash: ChunkHash::of(content),
        is_page: false,
        chunk: encode_chunk(content),
    };
    let mut body = BytesMut::new();
    Frame::Chunk(frame).encode(&mut body);
    body
}

#[test]
fn names_that_no_node_may_have_are_refused() -> Result<()> {
    let session = Session::new()?;
    for (id, name) in ["a/b", "/ab", "a\0b", "..", "."].into_iter().enumerate() {
        let placeholder = "@@@"
            .get(..name.len())
            .context("a longer placeholder is needed")?;
        let answer = session.make_folder(u8::try_from(id)?, name, placeholder)?;
        refused(&answer, ErrorCode::BadRequest).with_context(|| format!("{name:?}"))?;
    }
    ensure!(session.make_folder(200, "fit", "@@@")?.status == 200);
    let listed = session.device.run(&["ls"])?.success()?.text();
    assert_eq!(listed.lines().count(), 1, "{listed}");
    session.is_well()
}

#[test]
fn a_body_that_was_cut_is_refused() -> Result<()> {
    let session = Session::new()?;
    let mut body = chunk(b"whole");
    refused(&session.chunks(&body)?, ErrorCode::BadRequest)?;
    refused(&session.chunks(&body[..20])?, ErrorCode::BadRequest)?;
    Frame::End.encode(&mut body);
    ensure!(session.chunks(&body)?.status == 200);
    session.is_well()
}

#[test]
fn frames_and_bodies_above_their_bounds_are_refused() -> Result<()> {
    let session = Session::new()?;
    let mut frame = BytesMut::new();
    frame.put_u8(1);
    frame.put_u32_le(u32::try_from(limits::FRAME_BYTES)? + 1);
    frame.put_bytes(0, 1_000);
    refused(&session.chunks(&frame)?, ErrorCode::TooLarge)?;
    refused(
        &session.chunks(&vec![0; limits::BODY_BYTES + 1])?,
        ErrorCode::TooLarge,
    )?;
    session.is_well()
}

#[test]
fn a_chunk_that_is_not_what_its_name_says_is_refused() -> Result<()> {
    let session = Session::new()?;
    let frame = ChunkFrame {
        hash: ChunkHash::of(b"this"),
        is_page: false,
        chunk: encode_chunk(b"something else"),
    };
    let mut body = BytesMut::new();
    Frame::Chunk(frame).encode(&mut body);
    Frame::End.encode(&mut body);
    refused(&session.chunks(&body)?, ErrorCode::HashMismatch)?;
    session.is_well()
}

#[test]
fn a_token_that_nobody_has_is_refused() -> Result<()> {
    let mut session = Session::new()?;
    session.token = format!("cairn_{}", "0".repeat(64));
    refused(&session.chunks(&[])?, ErrorCode::NotAuthenticated)?;
    let bare = send(
        session.world.server.address()?,
        &format!("GET {}", path::WHOAMI),
        &[],
        &[],
    )?;
    refused(&bare, ErrorCode::NotAuthenticated)?;
    session.is_well()
}

#[test]
fn garbage_instead_of_a_message_is_refused() -> Result<()> {
    let session = Session::new()?;
    for route in [
        path::HAVE,
        path::COMMIT,
        path::CHANGES,
        path::NODES,
        path::FETCH,
        path::LOGIN,
    ] {
        let answer = session.post(route, b"\xff\x00 not cbor")?;
        refused(&answer, ErrorCode::BadRequest).context(route)?;
    }
    refused(&session.post("/sync/1/nothing", &[])?, ErrorCode::NotFound)?;
    session.is_well()
}
