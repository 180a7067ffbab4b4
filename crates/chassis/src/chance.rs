//! The only source of randomness.
//!
//! Secrets come from the operating system ([`fill`], [`token`]). Jitter and trace ids need no
//! secrecy, only spread, and are asked for on hot paths: they come from a per-thread xorshift
//! generator seeded once by the operating system, which costs no system call.

use std::cell::Cell;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

thread_local! {
    static SPREAD: Cell<u64> = Cell::new(seed());
}

/// Fills `buffer` with bytes fit for keys and secrets.
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub fn fill(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system has a random source");
}

/// A secret of `bytes` random bytes, as URL-safe text.
pub fn token(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    fill(&mut buffer);
    URL_SAFE_NO_PAD.encode(buffer)
}

/// `count` random lower-case letters and digits.
pub fn letters(count: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz2345678";
    let mut buffer = vec![0; count];
    fill(&mut buffer);
    buffer.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// A number in `0.0..1.0` for jitter; no secret.
pub fn jitter() -> f64 {
    // 53 bits are what an f64 can hold.
    (spread() >> 11) as f64 / (1u64 << 53) as f64
}

/// `least` seconds and up to a quarter more (a second at least), drawn: who was refused together
/// does not come back together.
pub fn seconds(least: u64) -> u64 {
    let more = (least / 4).max(1);
    least.saturating_add(spread() % (more + 1))
}

/// 64 spread bits, never all zero; no secret.
pub fn spread() -> u64 {
    SPREAD.with(|state| {
        // xorshift64*, Vigna 2016, "An experimental exploration of Marsaglia's xorshift generators".
        let mut x = state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        state.set(x);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    })
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes) | 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn jitter_stays_in_its_range_and_spreads() {
        let drawn: Vec<f64> = (0..1_000).map(|_| jitter()).collect();
        assert!(drawn.iter().all(|value| (0.0..1.0).contains(value)));
        let low = drawn.iter().filter(|value| **value < 0.5).count();
        assert!((300..700).contains(&low), "{low} of 1000 below one half");
    }

    #[test]
    fn seconds_are_never_fewer_and_spread_over_a_quarter_more() {
        for (least, most) in [(1, 2), (5, 6), (60, 75)] {
            let drawn: BTreeSet<u64> = (0..2_000).map(|_| seconds(least)).collect();
            assert!(drawn.into_iter().eq(least..=most), "not all of {least}..={most}");
        }
        assert_eq!(seconds(u64::MAX), u64::MAX);
    }

    #[test]
    fn tokens_differ_and_are_url_safe() {
        let (one, other) = (token(32), token(32));
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }
}
