//! The keys that wrap the keys of packs.
//!
//! The file is made on the first start and never replaced while packs exist: without it, packs cannot be read by
//! anybody. Its bytes are described in `docs/formats-pack.md`.

use std::fmt;
use std::io;
use std::path::Path;

use cairn_core::runtime::Entropy;
use ring::aead;
use zeroize::{Zeroize, Zeroizing};

use crate::pack::files::replace_file;
use crate::{ChunkError, Result};

const MAGIC: &[u8; 8] = b"CAIRNKEY";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 16;
const ENTRY_LEN: usize = 16 + KEY_LEN;
/// Keys in a ring. A key is added by hand and rarely; the bound keeps a damaged count from allocating.
const KEYS_MAX: usize = 1_000;

/// Bytes of a key of AES-256.
pub(crate) const KEY_LEN: usize = 32;
/// Bytes of a wrapped key: the ciphertext and its tag.
pub(crate) const WRAPPED_LEN: usize = KEY_LEN + 16;
/// Bytes of the nonce that a key is wrapped with.
pub(crate) const NONCE_LEN: usize = aead::NONCE_LEN;

/// Names a key of the ring. Not secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 16]);

impl KeyId {
    pub(crate) fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

struct Key {
    id: KeyId,
    secret: Zeroizing<[u8; KEY_LEN]>,
}

/// The keys. The last one wraps new packs; the others are kept for the packs that name them.
pub struct Keyring {
    keys: Vec<Key>,
}

/// Prints the ids, never the keys.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| key.id))
            .finish()
    }
}

impl Keyring {
    /// Reads the ring; `None` when there is no file.
    ///
    /// # Errors
    /// [`ChunkError::Unopenable`] when the file is damaged or of a later version, [`ChunkError::Io`].
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ChunkError::io("read", path, error)),
        };
        let unopenable = |what: String| ChunkError::Unopenable {
            path: path.to_owned(),
            what,
        };
        parse(&bytes).map(Some).map_err(unopenable)
    }

    /// Makes a ring with one new key and writes it, readable by its owner only; on disk when this returns.
    ///
    /// # Errors
    /// [`ChunkError::Full`], [`ChunkError::Io`].
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self> {
        let mut id = [0; 16];
        entropy.fill(&mut id);
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        entropy.fill(&mut *secret);
        let ring = Self {
            keys: vec![Key {
                id: KeyId(id),
                secret,
            }],
        };
        replace_file(path, &ring.to_bytes()).map_err(|error| ChunkError::io("write", path, error))?;
        Ok(ring)
    }

    /// Whether the ring has a key.
    pub fn has(&self, id: KeyId) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }

    /// The key that new packs are wrapped with.
    pub fn current(&self) -> KeyId {
        self.keys.last().expect("a ring holds at least one key").id
    }

    /// Wraps a pack's key; `context` is authenticated with it. `None` when the ring lacks the key.
    pub(crate) fn wrap(
        &self,
        id: KeyId,
        nonce: [u8; NONCE_LEN],
        context: &[u8],
        pack_key: &[u8; KEY_LEN],
    ) -> Option<[u8; WRAPPED_LEN]> {
        let mut wrapped = [0; WRAPPED_LEN];
        let (body, tag) = wrapped.split_at_mut(KEY_LEN);
        body.copy_from_slice(pack_key);
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let sealed = self
            .cipher(id)?
            .seal_in_place_separate_tag(nonce, aead::Aad::from(context), body);
        let Ok(sealed_tag) = sealed else {
            body.zeroize();
            return None;
        };
        tag.copy_from_slice(sealed_tag.as_ref());
        Some(wrapped)
    }

    /// Unwraps a pack's key; `None` when the ring lacks the key or `context` or `wrapped` were changed.
    pub(crate) fn unwrap(
        &self,
        id: KeyId,
        nonce: [u8; NONCE_LEN],
        context: &[u8],
        wrapped: &[u8; WRAPPED_LEN],
    ) -> Option<Zeroizing<[u8; KEY_LEN]>> {
        let mut buffer = Zeroizing::new(*wrapped);
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let body = self
            .cipher(id)?
            .open_in_place(nonce, aead::Aad::from(context), &mut buffer[..])
            .ok()?;
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        secret.copy_from_slice(body);
        Some(secret)
    }

    fn cipher(&self, id: KeyId) -> Option<aead::LessSafeKey> {
        let key = self.keys.iter().find(|key| key.id == id)?;
        let unbound = aead::UnboundKey::new(&aead::AES_256_GCM, &key.secret[..]).ok()?;
        Some(aead::LessSafeKey::new(unbound))
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let len = HEADER_LEN + self.keys.len() * ENTRY_LEN + 4;
        // The exact capacity, so that no copy of a key is left behind by a growing vector.
        let mut bytes = Zeroizing::new(Vec::with_capacity(len));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(
            &u32::try_from(self.keys.len())
                .expect("a ring is small")
                .to_le_bytes(),
        );
        for key in &self.keys {
            bytes.extend_from_slice(key.id.as_bytes());
            bytes.extend_from_slice(&key.secret[..]);
        }
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }
}

fn parse(bytes: &[u8]) -> std::result::Result<Keyring, String> {
    const RESTORE: &str = "restore it from a backup; packs cannot be read without it";
    let damaged = |what: &str| format!("the keyring {what}; {RESTORE}");
    let Some((content, checksum)) = bytes.split_last_chunk::<4>() else {
        return Err(damaged("is cut short"));
    };
    if content.len() < HEADER_LEN || &content[..8] != MAGIC {
        return Err(damaged("is not a keyring"));
    }
    if u32::from_le_bytes(*checksum) != crc32fast::hash(content) {
        return Err(damaged("is damaged"));
    }
    let number =
        |at: usize| u32::from_le_bytes([content[at], content[at + 1], content[at + 2], content[at + 3]]);
    if number(8) != VERSION {
        return Err(format!(
            "the keyring has version {}, this program knows {VERSION}; update it",
            number(8)
        ));
    }
    let count = number(12) as usize;
    if count == 0 || count > KEYS_MAX || content.len() != HEADER_LEN + count * ENTRY_LEN {
        return Err(damaged("has a wrong number of keys"));
    }
    let keys = content[HEADER_LEN..].chunks_exact(ENTRY_LEN).map(|entry| {
        let (id, secret) = entry.split_at(16);
        let mut key = Key {
            id: KeyId([0; 16]),
            secret: Zeroizing::new([0; KEY_LEN]),
        };
        key.id.0.copy_from_slice(id);
        key.secret.copy_from_slice(secret);
        key
    });
    Ok(Keyring { keys: keys.collect() })
}
