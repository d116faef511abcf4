//! Inputs like those of a corpus, but wrong: bits turned, numbers at their bounds, pieces cut out, doubled or taken from another input.

use std::path::Path;

use fastrand::Rng;

/// Every file of a corpus, in the order of their names.
pub fn corpus(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        found.push((path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()));
    }
    found.sort();
    assert!(!found.is_empty(), "no corpus in {}", dir.display());
    found
}

/// How many inputs to try: `usual`, times LOGMILL_FUZZ_ROUNDS where that is set.
pub fn rounds(usual: u64) -> u64 {
    let times = std::env::var("LOGMILL_FUZZ_ROUNDS").ok().and_then(|text| text.parse::<u64>().ok());
    usual * times.unwrap_or(1)
}

/// Changes `input` in one to four ways.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..rng.usize(1..=4) {
        if input.is_empty() {
            input.extend_from_slice(other);
            continue;
        }
        let at = rng.usize(..input.len());
        match rng.u8(..8) {
            0 => input[at] ^= 1 << rng.u8(..8),
            1 => input[at] = rng.u8(..),
            2 => number(input, at, rng),
            3 => input.truncate(at),
            4 => drop(input.drain(at..rng.usize(at..input.len()) + 1)),
            5 => {
                let piece = input[at..].iter().copied().take(rng.usize(1..64)).collect::<Vec<_>>();
                let to = rng.usize(..=input.len());
                input.splice(to..to, piece);
            }
            6 => {
                let from = rng.usize(..=other.len());
                let piece: Vec<u8> = other[from..].iter().copied().take(rng.usize(1..64)).collect();
                let to = (at + piece.len()).min(input.len());
                input.splice(at..to, piece);
            }
            _ => input[at..].iter_mut().take(rng.usize(1..32)).for_each(|byte| *byte = 0),
        }
    }
}

/// A number of one to eight bytes that overflows something, as lengths, counts and offsets do.
fn number(input: &mut [u8], at: usize, rng: &mut Rng) {
    const BOUNDS: [i64; 9] = [0, 1, -1, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN, i16::MAX as i64, 1 << 24];
    let value = BOUNDS[rng.usize(..BOUNDS.len())].wrapping_add(i64::from(rng.i8(-2..=2)));
    let width = [1, 2, 4, 8][rng.usize(..4)];
    for (slot, byte) in input[at..].iter_mut().zip(&value.to_be_bytes()[8 - width..]) {
        *slot = *byte;
    }
}
