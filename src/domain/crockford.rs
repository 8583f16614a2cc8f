//! Crockford's base32, lower case: digits and letters without `i`, `l`, `o`, `u`.

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The lowest `5 * len` bits of `bits`, most significant digit first, so that text order is number order.
pub fn encode(bits: u64, len: u32) -> String {
    (0..len).rev().map(|i| char::from(ALPHABET[(bits >> (5 * i)) as usize & 31])).collect()
}

/// The number that [`encode`] wrote; `None` for any other text.
pub fn decode(text: &str) -> Option<u64> {
    if text.len() > 12 {
        return None;
    }
    text.bytes().try_fold(0, |n: u64, b| {
        let digit = ALPHABET.iter().position(|a| *a == b)?;
        Some(n << 5 | digit as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for n in [0, 1, 31, 32, (1 << 50) - 1, 0x1234_5678_9abc] {
            assert_eq!(decode(&encode(n, 12)), Some(n));
        }
        assert_eq!(decode("o"), None);
    }

    #[test]
    fn text_order_is_number_order() {
        assert!(encode(31, 10) < encode(32, 10));
        assert!(encode(9, 10) < encode(10, 10));
    }
}
