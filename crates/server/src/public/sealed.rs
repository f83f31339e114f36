//! Texts that clients keep and bring back, signed so that nobody else makes one up: cursors, and temporary links.
//!
//! The key is made of the number that names the life of a namespace's journal, which nobody but the account's own devices
//! learns, and of what the text is for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_core::ids::Incarnation;
use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;

const MAC_BYTES: usize = 16;

/// One kind of text.
pub(super) struct Seal {
    /// What it is for: a text of one kind is none of another.
    pub(super) context: &'static str,
    /// Letters of the longest one.
    pub(super) most_chars: usize,
}

/// A text that was read and is not believed yet.
pub(super) struct Unproven<W> {
    wire: W,
    bytes: Vec<u8>,
    signature: [u8; MAC_BYTES],
}

impl Seal {
    /// Writes a text, signed for a namespace's present life.
    pub(super) fn write<W: Encode<()>>(&self, wire: &W, life: &Incarnation) -> String {
        // Writing to a vector cannot fail.
        let mut bytes = minicbor::to_vec(wire).unwrap_or_default();
        bytes.extend_from_slice(&self.mac(life, &bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Signs bytes that may be nothing of this kind.
    #[cfg(any(fuzzing, test))]
    pub(super) fn sign(&self, bytes: &[u8], life: &Incarnation) -> String {
        let mut signed = bytes.to_vec();
        signed.extend_from_slice(&self.mac(life, bytes));
        URL_SAFE_NO_PAD.encode(signed)
    }

    /// Reads a text; `None` for what is none of this kind.
    pub(super) fn read<W: for<'b> Decode<'b, ()>>(&self, text: &str) -> Option<Unproven<W>> {
        if text.len() > self.most_chars {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let signature = bytes.split_off(bytes.len().checked_sub(MAC_BYTES)?);
        Some(Unproven {
            wire: minicbor::decode(&bytes).ok()?,
            bytes,
            signature: signature.try_into().ok()?,
        })
    }

    /// What a text says, if it was signed for this life.
    pub(super) fn prove<W>(&self, text: Unproven<W>, life: &Incarnation) -> Option<W> {
        let is_right = bool::from(self.mac(life, &text.bytes).ct_eq(&text.signature));
        is_right.then_some(text.wire)
    }

    fn mac(&self, life: &Incarnation, bytes: &[u8]) -> [u8; MAC_BYTES] {
        let key = blake3::derive_key(self.context, life.as_bytes());
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(&blake3::keyed_hash(&key, bytes).as_bytes()[..MAC_BYTES]);
        mac
    }
}

impl<W> Unproven<W> {
    /// What it claims, to find out by what it can be proven.
    pub(super) const fn claim(&self) -> &W {
        &self.wire
    }
}
