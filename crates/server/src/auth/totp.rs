//! Codes of an authenticator.
//!
//! *Source:* RFC 6238 with RFC 4226: HMAC-SHA-1, 30 s, six digits, as every authenticator has it.

use cairn_core::time::Timestamp;
use ring::hmac;

/// Bytes of a secret. *Source:* RFC 4226, 4: 160 bits are recommended.
pub(crate) const SECRET_BYTES: usize = 20;
const STEP_MS: i64 = 30_000;
const DIGITS: u32 = 6;
/// Steps that the clock of a phone may be behind or ahead.
const TOLERANCE: i64 = 1;

/// The time step of an instant.
const fn step_of(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(STEP_MS)
}

/// The code of a step.
fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let digest = hmac::sign(&key, &step.to_be_bytes());
    let digest = digest.as_ref();
    let offset = digest.last().map_or(0, |byte| usize::from(byte & 0xf));
    let bytes = digest.get(offset..offset + 4).unwrap_or_default();
    let number = bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte));
    format!(
        "{:0width$}",
        (number & 0x7fff_ffff) % 10_u32.pow(DIGITS),
        width = DIGITS as usize
    )
}

/// The step whose code this is, of those near now; `None` for a wrong code.
pub(crate) fn step_with(secret: &[u8], text: &str, now: Timestamp) -> Option<i64> {
    use subtle::ConstantTimeEq;
    let now = step_of(now);
    let is_right = |step: &i64| bool::from(code(secret, *step).as_bytes().ct_eq(text.as_bytes()));
    (now - TOLERANCE..=now + TOLERANCE).find(is_right)
}

/// RFC 4648 base32 without padding, as authenticators read secrets.
pub(crate) fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(LETTERS[(held >> bits & 31) as usize] as char);
        }
    }
    if bits > 0 {
        text.push(LETTERS[(held << (5 - bits) & 31) as usize] as char);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = b"12345678901234567890";
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = Timestamp::from_millis(seconds * 1_000);
            assert_eq!(code(secret, step_of(now)), expected);
            assert_eq!(step_with(secret, expected, now), Some(step_of(now)));
            let late = now.plus_millis(2 * STEP_MS);
            assert_eq!(step_with(secret, expected, late), None);
            assert_eq!(step_with(secret, "", now), None);
        }
    }

    /// RFC 4648, 10.
    #[test]
    fn base32_is_that_of_the_rfc() {
        for (text, encoded) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foob", "MZXW6YQ"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(text.as_bytes()), encoded);
        }
    }
}
