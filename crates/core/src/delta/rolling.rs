//! A checksum that moves on by a byte at the cost of two multiplications, and is long enough to stand for a block.

/// An odd number without a pattern: the digits of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Its powers.
const FACTOR_2: u64 = FACTOR.wrapping_mul(FACTOR);
const FACTOR_3: u64 = FACTOR_2.wrapping_mul(FACTOR);
const FACTOR_4: u64 = FACTOR_3.wrapping_mul(FACTOR);

/// The checksum of a window: the polynomial of its bytes in [`FACTOR`], modulo 2^64. Only the upper bits are any good: a
/// low bit depends on low bits alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rolling {
    value: u64,
    /// [`FACTOR`] to the power of the window's length.
    leaving: u64,
}

impl Rolling {
    /// The checksum of a window.
    pub(super) fn of(window: &[u8]) -> Self {
        // Four bytes at a time, so that the processor waits for one multiplication and not for four.
        let (fours, rest) = window.as_chunks::<4>();
        let mut value = 0u64;
        let mut leaving = 1u64;
        for [a, b, c, d] in fours {
            let joined = term(*a)
                .wrapping_mul(FACTOR_3)
                .wrapping_add(term(*b).wrapping_mul(FACTOR_2))
                .wrapping_add(term(*c).wrapping_mul(FACTOR))
                .wrapping_add(term(*d));
            value = value.wrapping_mul(FACTOR_4).wrapping_add(joined);
            leaving = leaving.wrapping_mul(FACTOR_4);
        }
        for byte in rest {
            value = value.wrapping_mul(FACTOR).wrapping_add(term(*byte));
            leaving = leaving.wrapping_mul(FACTOR);
        }
        Self { value, leaving }
    }

    /// Moves on: `out` leaves the window, `into` joins it.
    pub(super) const fn roll(&mut self, out: u8, into: u8) {
        let change = term(into).wrapping_sub(term(out).wrapping_mul(self.leaving));
        self.value = self.value.wrapping_mul(FACTOR).wrapping_add(change);
    }

    /// 48 bits that say which bytes are in the window.
    pub(super) const fn sum(self) -> u64 {
        // The last byte has touched but the low bits so far: one more multiplication carries it to the upper ones.
        self.value.wrapping_mul(FACTOR) >> 16
    }
}

/// One more than the byte, so that a run of zeros is told from a shorter one.
const fn term(byte: u8) -> u64 {
    byte as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolling_is_the_same_as_summing_anew() {
        let bytes: Vec<u8> = (0..2_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let mut rolling = Rolling::of(&bytes[..512]);
        for start in 1..=bytes.len() - 512 {
            rolling.roll(bytes[start - 1], bytes[start + 511]);
            assert_eq!(rolling.sum(), Rolling::of(&bytes[start..start + 512]).sum());
        }
    }
}
