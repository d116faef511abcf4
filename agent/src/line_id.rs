//! The id of a line: 128 bits of BLAKE3 over generation, byte offset (little endian) and the raw bytes.
//!
//! Raw means as in the file, without the line's terminator, before decoding or truncation. An entry of the journal has
//! its id from its cursor instead, and a line of standard input from its segment's name as well.

use crate::identity::Generation;

pub(crate) type LineId = [u8; 16];

/// Id of a line whose bytes are all in memory. `scratch` is overwritten.
pub(crate) fn line_id(generation: &Generation, offset: u64, raw: &[u8], scratch: &mut Vec<u8>) -> LineId {
    scratch.clear();
    scratch.extend_from_slice(&generation.0);
    scratch.extend_from_slice(&offset.to_le_bytes());
    scratch.extend_from_slice(raw);
    cut(&blake3::hash(scratch))
}

/// Id of a line in a segment of a spool. Segments follow each other so quickly that one may have the inode of the one
/// before it; no two ever have the same name.
pub(crate) fn segment_line_id(
    generation: &Generation,
    segment: &[u8],
    offset: u64,
    raw: &[u8],
    scratch: &mut Vec<u8>,
) -> LineId {
    scratch.clear();
    scratch.extend_from_slice(b"logmill spool 1");
    scratch.extend_from_slice(&(segment.len() as u64).to_le_bytes());
    scratch.extend_from_slice(segment);
    scratch.extend_from_slice(&generation.0);
    scratch.extend_from_slice(&offset.to_le_bytes());
    scratch.extend_from_slice(raw);
    cut(&blake3::hash(scratch))
}

/// Id of an entry of the journal: wherever and however often it is read, it has this cursor.
pub(crate) fn cursor_id(cursor: &str) -> LineId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"logmill journal 1").update(cursor.as_bytes());
    cut(&hasher.finalize())
}

/// The same id, for a line too long to be held: its bytes come in pieces.
#[derive(Clone)]
pub(crate) struct LineHasher {
    hasher: Box<blake3::Hasher>,
    /// A carriage return that is part of the line only if no newline follows it.
    held_return: bool,
    carriage_return: &'static [u8],
}

impl LineHasher {
    /// `carriage_return` as the file's encoding has it.
    pub(crate) fn new(generation: &Generation, offset: u64, carriage_return: &'static [u8]) -> Self {
        let mut hasher = Box::new(blake3::Hasher::new());
        hasher.update(&generation.0).update(&offset.to_le_bytes());
        Self { hasher, held_return: false, carriage_return }
    }

    /// The next bytes, none of them a newline.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.held_return) {
            self.hasher.update(self.carriage_return);
        }
        let body = bytes.strip_suffix(self.carriage_return).unwrap_or(bytes);
        self.held_return = body.len() != bytes.len();
        self.hasher.update(body);
    }

    /// Ends the line: at a newline, or (`false`) at a boundary decided by time.
    pub(crate) fn finish(mut self, at_newline: bool) -> LineId {
        if self.held_return && !at_newline {
            self.hasher.update(self.carriage_return);
        }
        cut(&self.hasher.finalize())
    }
}

fn cut(hash: &blake3::Hash) -> LineId {
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_bytes()[..16]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATION: Generation = Generation([7; 16]);

    #[test]
    fn pieces_give_the_same_id_as_the_whole() {
        let raw: Vec<u8> = (0..5000_u32).map(|i| if i % 97 == 0 { b'\r' } else { b'a' + (i % 26) as u8 }).collect();
        let whole = line_id(&GENERATION, 42, &raw, &mut Vec::new());
        for step in [1, 2, 97, 98, 4096, 6000] {
            let mut hasher = LineHasher::new(&GENERATION, 42, b"\r");
            raw.chunks(step).for_each(|piece| hasher.update(piece));
            hasher.update(b"");
            assert_eq!(whole, hasher.finish(false), "step {step}");
        }
    }

    #[test]
    fn a_return_before_the_newline_is_not_part_of_the_line() {
        let mut hasher = LineHasher::new(&GENERATION, 0, b"\r");
        hasher.update(b"ab\r");
        assert_eq!(line_id(&GENERATION, 0, b"ab", &mut Vec::new()), hasher.finish(true));
    }

    #[test]
    fn offset_generation_and_bytes_all_count() {
        let id = |g: u8, offset, raw: &[u8]| line_id(&Generation([g; 16]), offset, raw, &mut Vec::new());
        assert_ne!(id(1, 0, b"x"), id(2, 0, b"x"));
        assert_ne!(id(1, 0, b"x"), id(1, 1, b"x"));
        assert_ne!(id(1, 0, b"x"), id(1, 0, b"y"));
    }
}
