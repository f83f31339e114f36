//! Bearer tokens: 256 random bits, of which the server keeps a hash.

use cairn_core::runtime::Entropy;
use cairn_metadata::TokenHash;
use ring::digest;

/// In front of every token, so that scanners for leaked secrets can find ours.
const PREFIX: &str = "cairn_";
const TOKEN_BYTES: usize = 32;

/// Draws a token.
pub(crate) fn new_token(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; TOKEN_BYTES];
    entropy.fill(&mut bytes);
    let mut token = String::with_capacity(PREFIX.len() + 2 * TOKEN_BYTES);
    token.push_str(PREFIX);
    for byte in bytes {
        token.push_str(&format!("{byte:02x}"));
    }
    token
}

/// What a token is found by; `None` for text that is no token.
///
/// Looking the hash up takes a time that depends on the hash, of which an attacker can choose no prefix: the time tells
/// nothing about a token.
pub(crate) fn hash(token: &str) -> Option<TokenHash> {
    let digits = token.strip_prefix(PREFIX)?;
    if digits.len() != 2 * TOKEN_BYTES
        || !digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return None;
    }
    sha256(token.as_bytes()).map(TokenHash)
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter;

    impl Entropy for Counter {
        fn fill(&self, buffer: &mut [u8]) {
            for (index, byte) in buffer.iter_mut().enumerate() {
                *byte = index as u8;
            }
        }
    }

    #[test]
    fn only_tokens_have_a_hash() {
        let token = new_token(&Counter);
        assert_eq!(
            token,
            "cairn_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        );
        assert!(hash(&token).is_some());
        for text in [
            "",
            "cairn_",
            &token[1..],
            &token.to_uppercase(),
            &format!("{token}0"),
        ] {
            assert!(hash(text).is_none(), "{text}");
        }
    }
}
