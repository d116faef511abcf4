//! Snappy, bare as librdkafka and Go write it or in the block framing of Java's snappy-java.
//!
//! The framing: 0x82 `SNAPPY` 0, version (4), lowest compatible version (4), then blocks of a 32-bit length and a
//! bare snappy stream each.

use super::{Compression, CompressionError};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const FRAMING_HEADER_BYTES: usize = 16;
/// Bytes of input per block, snappy-java's default.
const BLOCK_BYTES: usize = 32 * 1024;
/// A three-byte copy element gives at most 64 bytes: more than this many times its size, a stream cannot hold.
const MAX_RATIO: usize = 22;

pub(super) fn compress(data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::with_capacity(FRAMING_HEADER_BYTES + data.len() / 2);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&1i32.to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in data.chunks(BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block).map_err(|error| Compression::Snappy.corrupt(error))?;
        // A block of 32 KiB stays far below 4 GiB.
        out.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}

pub(super) fn decompress(data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    if !data.starts_with(&MAGIC) {
        append(data, &mut out, max_bytes)?;
        return Ok(out);
    }
    let cut_off = || Compression::Snappy.corrupt("a block is cut off");
    let mut rest = data.get(FRAMING_HEADER_BYTES..).ok_or_else(cut_off)?;
    while !rest.is_empty() {
        let (len, tail) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
        let len = u32::from_be_bytes(*len) as usize;
        let (block, tail) = tail.split_at_checked(len).ok_or_else(cut_off)?;
        append(block, &mut out, max_bytes)?;
        rest = tail;
    }
    Ok(out)
}

fn append(block: &[u8], out: &mut Vec<u8>, max_bytes: usize) -> Result<(), CompressionError> {
    let codec = Compression::Snappy;
    let len = snap::raw::decompress_len(block).map_err(|error| codec.corrupt(error))?;
    if len > max_bytes.saturating_sub(out.len()) {
        return Err(codec.too_large(max_bytes));
    }
    if len > block.len().saturating_mul(MAX_RATIO) {
        return Err(codec.corrupt(format_args!("a block of {} bytes claims to hold {len}", block.len())));
    }
    let from = out.len();
    out.resize(from + len, 0);
    let written =
        snap::raw::Decoder::new().decompress(block, &mut out[from..]).map_err(|error| codec.corrupt(error))?;
    out.truncate(from + written);
    Ok(())
}
