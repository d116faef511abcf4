//! Frames: what is written at once and checked by one CRC.

use super::{Record, record};

pub(super) const HEADER: usize = 24;
/// A frame is closed at this size, so that reading one back stays cheap; a larger record has a frame of its own.
const FRAME_BYTES: usize = 1024 * 1024;

/// Frames under construction, to be written at a known position.
pub(crate) struct Batch {
    start: u64,
    durable: u64,
    bytes: Vec<u8>,
    /// Where the open frame begins in `bytes`.
    frame: usize,
}

/// Where a record lies: its position and the length of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: u64,
    pub(crate) length: u32,
}

impl Batch {
    pub(super) fn new(start: u64, durable: u64) -> Self {
        Self { start, durable, bytes: vec![0; HEADER], frame: 0 }
    }

    /// Adds a record; `None` when it is too large for a frame (4 GiB).
    pub(crate) fn push(&mut self, record: &Record<'_>) -> Option<Place> {
        if self.bytes.len() - self.frame >= FRAME_BYTES {
            self.seal();
            self.frame = self.bytes.len();
            self.bytes.resize(self.frame + HEADER, 0);
        }
        let at = self.bytes.len();
        let length = record.encode(&mut self.bytes)?;
        Some(Place { position: self.start + at as u64, length })
    }

    /// The body of a record that was pushed to this batch.
    pub(crate) fn read(&self, place: Place) -> Option<&[u8]> {
        let at = usize::try_from(place.position.checked_sub(self.start)?).ok()? + record::LENGTH_BYTES as usize;
        self.bytes.get(at..at.checked_add(place.length as usize)?)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER
    }

    fn seal(&mut self) {
        let position = self.start + self.frame as u64;
        let frame = &mut self.bytes[self.frame..];
        let length = u32::try_from(frame.len() - HEADER).unwrap_or(u32::MAX);
        frame[0..4].copy_from_slice(&length.to_le_bytes());
        frame[8..16].copy_from_slice(&position.to_le_bytes());
        frame[16..24].copy_from_slice(&self.durable.to_le_bytes());
        let crc = crc32c::crc32c(&frame[8..]);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    pub(super) fn finish(mut self) -> (u64, Vec<u8>) {
        if self.bytes.len() - self.frame > HEADER {
            self.seal();
        } else {
            self.bytes.truncate(self.frame);
        }
        (self.start, self.bytes)
    }
}

/// A frame read back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) durable: u64,
    pub(super) records: &'a [u8],
    /// Bytes of the whole frame.
    pub(super) length: usize,
}

/// The frame at the start of `bytes`, which lie at `position`; `None` if it is incomplete or damaged.
pub(super) fn decode(bytes: &[u8], position: u64) -> Option<Frame<'_>> {
    let header = bytes.get(..HEADER)?;
    let length = u32::from_le_bytes(header[0..4].try_into().ok()?) as usize;
    if length == 0 || u64::from_le_bytes(header[8..16].try_into().ok()?) != position {
        return None;
    }
    let whole = bytes.get(..HEADER.checked_add(length)?)?;
    if crc32c::crc32c(&whole[8..]) != u32::from_le_bytes(header[4..8].try_into().ok()?) {
        return None;
    }
    Some(Frame {
        durable: u64::from_le_bytes(header[16..24].try_into().ok()?),
        records: &whole[HEADER..],
        length: whole.len(),
    })
}

/// The records of a frame with their places, or `None` where a length runs over the end.
pub(super) fn records(frame: &[u8], position: u64) -> Option<Vec<(Place, Record<'_>)>> {
    let mut at = 0;
    let mut records = Vec::new();
    while at < frame.len() {
        let length = u32::from_le_bytes(frame.get(at..at + 4)?.try_into().ok()?);
        let start = at + record::LENGTH_BYTES as usize;
        let body = frame.get(start..start.checked_add(length as usize)?)?;
        records.push((Place { position: position + HEADER as u64 + at as u64, length }, Record::decode(body)?));
        at = start + length as usize;
    }
    Some(records)
}
