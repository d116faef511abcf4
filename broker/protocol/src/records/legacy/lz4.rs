//! LZ4 in messages of magic 0: their frames' header checksum was computed over the frame's magic number too, which other decoders refuse.

use std::borrow::Cow;

const FRAME_MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const CONTENT_SIZE: u8 = 1 << 3;

/// The frame with the checksum that the format's description wants.
pub(super) fn with_right_checksum(frame: &[u8]) -> Cow<'_, [u8]> {
    let has_size = frame.get(4).is_some_and(|flags| flags & CONTENT_SIZE != 0);
    let end = if has_size { 14 } else { 6 };
    if !frame.starts_with(&FRAME_MAGIC) || frame.len() <= end {
        return Cow::Borrowed(frame);
    }
    let checksum = xxh32_short(frame.get(4..end).unwrap_or_default()).to_be_bytes()[2];
    let mut right = frame.to_vec();
    if let Some(at) = right.get_mut(end) {
        *at = checksum;
    }
    Cow::Owned(right)
}

/// xxHash-32 with seed 0 of fewer than 16 bytes.
fn xxh32_short(bytes: &[u8]) -> u32 {
    const PRIME: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
    let mut hash = PRIME[4].wrapping_add(bytes.len() as u32);
    let words = bytes.chunks_exact(4);
    let tail = words.remainder();
    for word in words {
        let word = word.first_chunk::<4>().map_or(0, |word| u32::from_le_bytes(*word));
        hash = hash.wrapping_add(word.wrapping_mul(PRIME[2])).rotate_left(17).wrapping_mul(PRIME[3]);
    }
    for byte in tail {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(PRIME[4])).rotate_left(11).wrapping_mul(PRIME[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIME[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIME[2]);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::compression::Compression;

    #[test]
    fn the_hash_is_xxhash() {
        assert_eq!(xxh32_short(b""), 0x02cc_5d05);
        assert_eq!(xxh32_short(b"a"), 0x550d_7456);
        assert_eq!(xxh32_short(b"abc"), 0x32d1_53ff);
    }

    #[test]
    fn a_frame_with_the_old_checksum_is_read() {
        let data = vec![7; 1000];
        let frame = Compression::Lz4.compress(&data).unwrap();
        assert_eq!(with_right_checksum(&frame), frame, "a right one stays");
        let mut old = frame;
        old[6] ^= 0x55;
        assert!(Compression::Lz4.decompress(&old, 2000).is_err());
        assert_eq!(Compression::Lz4.decompress(&with_right_checksum(&old), 2000).unwrap(), data);
        assert_eq!(with_right_checksum(b"no frame"), b"no frame".as_slice());
    }
}
