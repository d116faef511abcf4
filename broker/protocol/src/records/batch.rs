//! Reading a batch's header, and walking a run of batches.

use std::borrow::Cow;

use super::{BatchError, CRC_FROM, HEADER_BYTES, LOG_OVERHEAD, MAGIC, NO_PRODUCER_ID, Record, Records};
use crate::Reader;
use crate::compression::Compression;

/// Whose clock the records' timestamps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// Bits 0-2 compression, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon (the base timestamp is then
/// the time from which on tombstones may go).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    pub const TIMESTAMP_TYPE: i16 = 1 << 3;
    pub const TRANSACTIONAL: i16 = 1 << 4;
    pub const CONTROL: i16 = 1 << 5;
    pub const DELETE_HORIZON: i16 = 1 << 6;

    pub fn compression(self) -> Result<Compression, BatchError> {
        let bits = (self.0 & 7) as u8;
        Compression::from_id(bits).ok_or(BatchError::UnknownCompression(bits))
    }

    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::TIMESTAMP_TYPE == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }
}

/// The 61 bytes in front of a batch's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Bytes after the first [`LOG_OVERHEAD`]; at least those of the rest of the header.
    pub batch_length: i32,
    pub partition_leader_epoch: i32,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    /// Milliseconds since 1970.
    pub base_timestamp: i64,
    /// Milliseconds since 1970.
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header from the first [`HEADER_BYTES`] bytes; the records need not be there.
    ///
    /// Checks magic and length; neither CRC nor what the values mean.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let magic_at = CRC_FROM - 5;
        let truncated = |needed| BatchError::Truncated { needed, left: bytes.len() };
        // The magic has the same place in every format and says how to read the rest.
        let magic = *bytes.get(magic_at).ok_or_else(|| truncated(magic_at + 1))? as i8;
        match magic {
            MAGIC => {}
            0 | 1 => return Err(BatchError::OldMagic(magic)),
            _ => return Err(BatchError::UnknownMagic(magic)),
        }
        let header = Self::read(&mut Reader::new(bytes)).map_err(|_| truncated(HEADER_BYTES))?;
        if header.batch_length < (HEADER_BYTES - LOG_OVERHEAD) as i32 {
            return Err(BatchError::InvalidLength(header.batch_length));
        }
        Ok(header)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, crate::DecodeError> {
        let base_offset = r.i64()?;
        let batch_length = r.i32()?;
        let partition_leader_epoch = r.i32()?;
        r.i8()?;
        Ok(Self {
            base_offset,
            batch_length,
            partition_leader_epoch,
            crc: r.u32()?,
            attributes: Attributes(r.i16()?),
            last_offset_delta: r.i32()?,
            base_timestamp: r.i64()?,
            max_timestamp: r.i64()?,
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
            base_sequence: r.i32()?,
            record_count: r.i32()?,
        })
    }

    /// Bytes of the whole batch, header included.
    pub fn total_len(&self) -> usize {
        usize::try_from(self.batch_length).unwrap_or(0).saturating_add(LOG_OVERHEAD)
    }

    /// Offset of the last record; compaction may have removed that record itself.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// Sequence of the last record; sequences wrap from `i32::MAX` to 0.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return super::NO_SEQUENCE;
        }
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (sum & i64::from(i32::MAX)) as i32
    }

    pub fn offset_of(&self, record: &Record<'_>) -> i64 {
        self.base_offset.saturating_add(i64::from(record.offset_delta))
    }

    /// Milliseconds since 1970.
    pub fn timestamp_of(&self, record: &Record<'_>) -> i64 {
        match self.attributes.timestamp_type() {
            TimestampType::LogAppendTime => self.max_timestamp,
            TimestampType::CreateTime => self.base_timestamp.saturating_add(record.timestamp_delta),
        }
    }
}

/// The CRC-32C that the header of this batch should hold.
pub fn crc_of(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch.get(CRC_FROM..).unwrap_or(&[]))
}

/// One whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    pub header: BatchHeader,
    /// Header and records.
    pub bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the beginning of `bytes`, and what follows it.
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        let header = BatchHeader::parse(bytes)?;
        match bytes.split_at_checked(header.total_len()) {
            Some((bytes, rest)) => Ok((Self { header, bytes }, rest)),
            None => Err(BatchError::Truncated { needed: header.total_len(), left: bytes.len() }),
        }
    }

    pub fn check_crc(&self) -> Result<(), BatchError> {
        let computed = crc_of(self.bytes);
        if computed == self.header.crc {
            Ok(())
        } else {
            Err(BatchError::CorruptCrc { stored: self.header.crc, computed })
        }
    }

    /// The records' bytes as they came, compressed or not.
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or(&[])
    }

    /// The records' bytes uncompressed, of which there must be at most `max_bytes`. Read them with
    /// [`Batch::records_in`].
    pub fn decompress(&self, max_bytes: usize) -> Result<Cow<'a, [u8]>, BatchError> {
        match self.header.attributes.compression()? {
            Compression::None => Ok(Cow::Borrowed(self.payload())),
            compression => Ok(Cow::Owned(compression.decompress(self.payload(), max_bytes)?)),
        }
    }

    /// The records in what [`Batch::decompress`] returned.
    pub fn records_in<'d>(&self, data: &'d [u8]) -> Records<'d> {
        Records::new(data, self.header.record_count)
    }
}

/// Walks a run of batches, as in a segment or a Fetch response; ends after the first error.
///
/// A Fetch response may end in a part of a batch, which is the error `Truncated`.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match Batch::split(self.rest) {
            Ok((batch, rest)) => {
                self.rest = rest;
                Some(Ok(batch))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}
