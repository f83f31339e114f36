//! The messages of `/sync/1`, the devices' protocol. Every body is one CBOR message or a sequence of frames
//! (see [`crate::frame`]). `docs/protocol.md` has the routes.

mod accounts;
mod commit;
mod fetch;
mod journal;
mod revs;
mod tree;

use minicbor::{Decode, Encode};

pub use self::accounts::{
    AskWipe, DeviceRow, Devices, Login, LoginReply, MakeToken, MakeTokenReply, SecondFactor,
    SecondFactorReply, SecondFactorStep, Unlink, Whoami, WipeOrder, Wiped,
};
pub use self::commit::{
    ChunksReply, CommitReply, CommitRequest, Have, HaveReply, Signatures, SignaturesReply,
};
pub use self::fetch::{Fetch, FetchItem, FetchPart, FetchStart, FetchStatus};
pub use self::journal::{ChangesReply, ChangesRequest, CursorReply, CursorReport, Event, Step, StepContent};
pub use self::revs::{RevState, Revs, RevsReply, Whereabouts};
pub use self::tree::{
    ChildrenRequest, HashedChild, HashedContent, NodesReply, NodesRequest, Resolve, ResolveReply,
    TreeHashReply, TreeHashRequest,
};
use crate::wire::Wire;

/// The version of the protocol that is spoken here.
pub const PROTOCOL_VERSION: u32 = 1;
/// Media type of a body that is one CBOR message.
pub const CBOR: &str = "application/cbor";
/// Media type of a body that is a sequence of frames.
pub const FRAMES: &str = "application/vnd.cairn.frames";

/// The routes, without the host.
pub mod path {
    /// `GET`, without a token: [`super::Hello`].
    pub const HELLO: &str = "/sync/1/hello";
    /// `POST` [`super::Login`]: [`super::LoginReply`].
    pub const LOGIN: &str = "/sync/1/login";
    /// `POST`, no body: unlinks the device that asks.
    pub const LOGOUT: &str = "/sync/1/logout";
    /// `GET`: [`super::Whoami`].
    pub const WHOAMI: &str = "/sync/1/whoami";
    /// `GET`: [`super::Devices`].
    pub const DEVICES: &str = "/sync/1/devices";
    /// `POST` [`super::Unlink`]: forgets a device of the account, an app's link or a token.
    pub const UNLINK: &str = "/sync/1/unlink";
    /// `POST` [`super::AskWipe`]: unlinks a device that deletes what it keeps on its next contact. `GET`, by that device:
    /// [`super::WipeOrder`].
    pub const WIPE: &str = "/sync/1/wipe";
    /// `POST` [`super::Wiped`], by a device that has done so: its last request.
    pub const WIPED: &str = "/sync/1/wiped";
    /// `POST` [`super::MakeToken`]: [`super::MakeTokenReply`].
    pub const TOKENS: &str = "/sync/1/tokens";
    /// `POST` [`super::SecondFactor`]: [`super::SecondFactorReply`].
    pub const SECOND_FACTOR: &str = "/sync/1/second-factor";
    /// `POST` [`super::Have`]: [`super::HaveReply`].
    pub const HAVE: &str = "/sync/1/have";
    /// `POST` [`super::Signatures`]: [`super::SignaturesReply`].
    pub const SIGNATURES: &str = "/sync/1/signatures";
    /// `POST` frames of chunks, `?ns=` names the namespace: [`super::ChunksReply`].
    pub const CHUNKS: &str = "/sync/1/chunks";
    /// `POST` frames of chunks, then one frame with a [`super::CommitRequest`]: [`super::CommitReply`].
    pub const COMMIT: &str = "/sync/1/commit";
    /// `POST` [`super::ChangesRequest`]: [`super::ChangesReply`].
    pub const CHANGES: &str = "/sync/1/changes";
    /// `POST` [`super::NodesRequest`]: [`super::NodesReply`].
    pub const NODES: &str = "/sync/1/nodes";
    /// `POST` [`super::ChildrenRequest`]: [`super::NodesReply`].
    pub const CHILDREN: &str = "/sync/1/children";
    /// `POST` [`super::Resolve`]: [`super::ResolveReply`].
    pub const RESOLVE: &str = "/sync/1/resolve";
    /// `POST` [`super::Revs`]: [`super::RevsReply`].
    pub const REVS: &str = "/sync/1/revs";
    /// `POST` [`super::TreeHashRequest`]: [`super::TreeHashReply`].
    pub const TREE_HASH: &str = "/sync/1/tree-hash";
    /// `POST` [`super::Fetch`]: frames, see there.
    pub const FETCH: &str = "/sync/1/fetch";
    /// `POST` [`super::CursorReport`]: [`super::CursorReply`].
    pub const CURSOR: &str = "/sync/1/cursor";
    /// `GET`: an endless sequence of [`super::Event`] frames.
    pub const EVENTS: &str = "/sync/1/events";
    /// The query by which a device asks that [`super::Event::Step`] may stand in place of a head. A server that does not know
    /// it sends heads.
    pub const STEPS: &str = "steps=1";
}

/// What a server says of itself to anyone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// Always `cairn`, so that a wrong address is told from a broken server.
    #[n(0)]
    pub product: String,
    /// The protocol's version.
    #[n(1)]
    pub protocol: u32,
    /// The version of the program.
    #[n(2)]
    pub version: String,
}

/// Encodes a message.
pub fn to_cbor<T: Encode<()>>(message: &T) -> Vec<u8> {
    minicbor::to_vec(message).unwrap_or_else(|error| unreachable!("writing to memory failed: {error}"))
}

/// Decodes a message that fills `bytes`.
///
/// # Errors
/// When the bytes are no such message, or more than one.
pub fn from_cbor<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, minicbor::decode::Error> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let message = decoder.decode()?;
    if decoder.position() != bytes.len() {
        return Err(minicbor::decode::Error::message(
            "there are bytes after the message",
        ));
    }
    Ok(message)
}

/// Encodes a core value on its own, for storage and hashing.
pub fn value_to_cbor<T: Wire>(value: &T) -> Vec<u8> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    value
        .write(&mut encoder)
        .unwrap_or_else(|error| unreachable!("writing to memory failed: {error}"));
    encoder.into_writer()
}

/// Decodes a core value that fills `bytes`.
///
/// # Errors
/// When the bytes are no such value.
pub fn value_from_cbor<T: Wire>(bytes: &[u8]) -> Result<T, minicbor::decode::Error> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = T::read(&mut decoder)?;
    if decoder.position() != bytes.len() {
        return Err(minicbor::decode::Error::message(
            "there are bytes after the value",
        ));
    }
    Ok(value)
}
