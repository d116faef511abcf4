//! Message sets, the formats of before Kafka 0.11 (magic 0 and 1), turned into record batches and back.
//!
//! A message: offset (8) · size (4) · crc (4, CRC-32 of what follows) · magic (1) · attributes (1) · timestamp (8, magic 1 only) · key and value, each with a
//! length (4, -1 for null). Attributes: bits 0-2 compression, bit 3 timestamp type. A compressed message's value is a message set; with magic 1 its offsets
//! count from 0, and the outer message has the offset of the last.

mod lz4;

use super::{Batch, BatchBuilder, BatchError, NO_TIMESTAMP, NewRecord, TimestampType};
use crate::compression::Compression;
use crate::{Reader, Writer};
use std::borrow::Cow;

/// Offset and size.
const ENTRY_OVERHEAD: usize = 12;
/// CRC, magic, attributes, and the lengths of key and value.
const LEAST_MESSAGE: usize = 4 + 1 + 1 + 4 + 4;
const TIMESTAMP_TYPE: i8 = 1 << 3;

/// A message taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Message<'a> {
    magic: i8,
    attributes: i8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

/// Whether a produce payload is a message set rather than a record batch.
pub fn is_message_set(payload: &[u8]) -> bool {
    matches!(payload.get(16), Some(0 | 1))
}

/// The messages of a produce payload as one record batch, in the compression of the first. Together they may decompress to `max_bytes`.
pub fn up_convert(payload: &[u8], max_bytes: usize) -> Result<Vec<u8>, BatchError> {
    let messages = Messages { rest: payload };
    let first = messages.clone().next().ok_or(BatchError::Empty)??;
    let mut builder = BatchBuilder::new(first.compression()?);
    let mut left = max_bytes;
    for message in messages {
        let message = message?;
        let compression = message.compression()?;
        if compression == Compression::None {
            push(&mut builder, &message, message.timestamp);
            continue;
        }
        let data = decompress(&message, compression, left)?;
        left = left.saturating_sub(data.len());
        for inner in (Messages { rest: &data }) {
            let inner = inner?;
            if inner.magic != message.magic || inner.compression()? != Compression::None {
                return Err(BatchError::InvalidMessage(
                    "a compressed message holds others than plain ones of its magic",
                ));
            }
            push(&mut builder, &inner, inner.timestamp);
        }
    }
    if builder.uncompressed_len() > max_bytes.saturating_add(payload.len()).saturating_mul(2) {
        return Err(BatchError::TooLarge { len: builder.uncompressed_len(), max: max_bytes });
    }
    builder.build()
}

fn push(builder: &mut BatchBuilder, message: &Message<'_>, timestamp: i64) {
    builder.push(NewRecord { timestamp, key: message.key, value: message.value, headers: &[] });
}

fn decompress(message: &Message<'_>, compression: Compression, max_bytes: usize) -> Result<Vec<u8>, BatchError> {
    if compression == Compression::Zstd {
        return Err(BatchError::UnknownCompression(compression.id()));
    }
    let value = message.value.ok_or(BatchError::InvalidMessage("a compressed message has no value"))?;
    let value = match (message.magic, compression) {
        (0, Compression::Lz4) => lz4::with_right_checksum(value),
        _ => Cow::Borrowed(value),
    };
    Ok(compression.decompress(&value, max_bytes)?)
}

/// Walks a message set; ends after the first error.
#[derive(Debug, Clone)]
struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = self.split();
        if message.is_err() {
            self.rest = &[];
        }
        Some(message)
    }
}

impl<'a> Messages<'a> {
    fn split(&mut self) -> Result<Message<'a>, BatchError> {
        let left = self.rest.len();
        let truncated = |needed| BatchError::Truncated { needed, left };
        let size = self.rest.get(8..ENTRY_OVERHEAD).and_then(|size| size.first_chunk::<4>());
        let size = i32::from_be_bytes(*size.ok_or_else(|| truncated(ENTRY_OVERHEAD))?);
        let len =
            usize::try_from(size).ok().filter(|len| *len >= LEAST_MESSAGE).ok_or(BatchError::InvalidLength(size))?;
        let end = ENTRY_OVERHEAD.saturating_add(len);
        let (entry, rest) = self.rest.split_at_checked(end).ok_or_else(|| truncated(end))?;
        self.rest = rest;
        Message::parse(entry.get(ENTRY_OVERHEAD..).unwrap_or_default())
    }
}

impl<'a> Message<'a> {
    /// Checks the CRC, then reads the rest.
    fn parse(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let bad = |_| BatchError::InvalidMessage("it is shorter than its lengths say");
        let mut r = Reader::new(bytes);
        let stored = r.u32().map_err(bad)?;
        let computed = crc_of(r.rest());
        if stored != computed {
            return Err(BatchError::CorruptCrc { stored, computed });
        }
        let magic = r.i8().map_err(bad)?;
        if !matches!(magic, 0 | 1) {
            return Err(BatchError::UnknownMagic(magic));
        }
        let attributes = r.i8().map_err(bad)?;
        let timestamp = if magic == 1 { r.i64().map_err(bad)? } else { NO_TIMESTAMP };
        let key = nullable(&mut r)?;
        let value = nullable(&mut r)?;
        r.finish().map_err(bad)?;
        Ok(Self { magic, attributes, timestamp, key, value })
    }

    fn compression(&self) -> Result<Compression, BatchError> {
        let bits = self.attributes as u8 & 7;
        Compression::from_id(bits).ok_or(BatchError::UnknownCompression(bits))
    }

    fn write(&self, offset: i64, w: &mut Writer) {
        let start = w.len();
        w.put_i64(offset);
        w.put_i32(0);
        w.put_u32(0);
        w.put_i8(self.magic);
        w.put_i8(self.attributes);
        if self.magic == 1 {
            w.put_i64(self.timestamp);
        }
        for bytes in [self.key, self.value] {
            match bytes {
                Some(bytes) => {
                    w.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
                    w.put_slice(bytes);
                }
                None => w.put_i32(-1),
            }
        }
        let size = w.len() - start - ENTRY_OVERHEAD;
        let crc = crc_of(w.as_slice().get(start + ENTRY_OVERHEAD + 4..).unwrap_or_default());
        w.patch_i32(start + 8, i32::try_from(size).unwrap_or(i32::MAX));
        w.patch_i32(start + ENTRY_OVERHEAD, crc as i32);
    }
}

fn nullable<'a>(r: &mut Reader<'a>) -> Result<Option<&'a [u8]>, BatchError> {
    let bad = |_| BatchError::InvalidMessage("it is shorter than its lengths say");
    match usize::try_from(r.i32().map_err(bad)?) {
        Ok(len) => r.bytes(len).map(Some).map_err(bad),
        Err(_) => Ok(None),
    }
}

fn crc_of(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Record batches turned into uncompressed messages, one for each record.
#[derive(Debug)]
pub struct DownConverter {
    magic: i8,
    from_offset: i64,
    max_bytes: usize,
    out: Writer,
}

impl DownConverter {
    /// Messages of this magic (0 or 1) for records from `from_offset` on; full once there are `max_bytes`, but at least one message is taken.
    pub fn new(magic: i8, from_offset: i64, max_bytes: usize) -> Self {
        Self { magic, from_offset, max_bytes, out: Writer::new() }
    }

    /// Adds the records of a batch, which may decompress to `max_decompressed`. Markers of transactions are left out, headers of records too: the old formats
    /// have no place for them. `false`: full.
    pub fn push(&mut self, batch: &Batch<'_>, max_decompressed: usize) -> Result<bool, BatchError> {
        let header = &batch.header;
        if header.attributes.is_control() {
            return Ok(true);
        }
        let append_time = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
        let attributes = if append_time && self.magic == 1 { TIMESTAMP_TYPE } else { 0 };
        let data = batch.decompress(max_decompressed)?;
        for record in batch.records_in(&data) {
            let record = record?;
            let offset = header.offset_of(&record);
            if offset < self.from_offset {
                continue;
            }
            let timestamp = header.timestamp_of(&record);
            let message = Message { magic: self.magic, attributes, timestamp, key: record.key, value: record.value };
            let before = self.out.len();
            let len = ENTRY_OVERHEAD
                + LEAST_MESSAGE
                + 8
                + record.key.map_or(0, <[u8]>::len)
                + record.value.map_or(0, <[u8]>::len);
            if before > 0 && before + len > self.max_bytes {
                return Ok(false);
            }
            message.write(offset, &mut self.out);
        }
        Ok(self.out.len() < self.max_bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The message set.
    pub fn finish(self) -> Vec<u8> {
        self.out.into_vec()
    }
}

#[cfg(test)]
mod tests;
