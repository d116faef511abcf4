//! The records in a batch's uncompressed bytes, borrowed.

use super::BatchError;
use crate::codec::DecodeErrorKind as Kind;
use crate::{DecodeError, Reader, Writer};

/// One record; offset and timestamp count from the batch's base (see [`super::BatchHeader::offset_of`]).
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Unused by Kafka so far.
    pub attributes: i8,
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone on compacted topics.
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// A record header. Keys are text by convention only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// The headers of a record, already checked.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let mut r = Reader::new(self.bytes);
        (0..self.count).map_while(move |_| read_header(&mut r).ok())
    }

    /// Puts them behind a record's value, with their count.
    pub(super) fn write(&self, w: &mut Writer) {
        w.put_varint(i32::try_from(self.count).unwrap_or(i32::MAX));
        w.put_slice(self.bytes);
    }

    /// The last header of this key.
    pub fn get(&self, key: &str) -> Option<Header<'a>> {
        self.iter().filter(|header| header.key == key.as_bytes()).last()
    }
}

/// Reads the records one after another; ends after the first error. Fails when records are missing or bytes are left
/// over.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    r: Reader<'a>,
    index: usize,
    count: usize,
}

impl<'a> Records<'a> {
    /// `data` is what follows a batch's header, uncompressed; `count` the header's record count.
    pub fn new(data: &'a [u8], count: i32) -> Self {
        Self { r: Reader::new(data), index: 0, count: usize::try_from(count).unwrap_or(0) }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index;
        let result = match index.cmp(&self.count) {
            std::cmp::Ordering::Less => read_record(&mut self.r),
            std::cmp::Ordering::Equal => match self.r.finish() {
                Ok(()) => return None,
                Err(error) => Err(error),
            },
            std::cmp::Ordering::Greater => return None,
        };
        self.index += 1;
        Some(result.map_err(|source| {
            self.index = usize::MAX;
            BatchError::InvalidRecord { index, source }
        }))
    }
}

fn read_record<'a>(outer: &mut Reader<'a>) -> Result<Record<'a>, DecodeError> {
    let len = non_negative(outer)?;
    let mut r = outer.sub(len)?;
    let attributes = r.i8()?;
    let timestamp_delta = r.varlong()?;
    let offset_delta = r.varint()?;
    let key = nullable_bytes(&mut r)?;
    let value = nullable_bytes(&mut r)?;
    let count = non_negative(&mut r)?;
    // A header takes at least a byte for each of its lengths.
    r.check_count(count, 2)?;
    let bytes = r.rest();
    for _ in 0..count {
        read_header(&mut r)?;
    }
    r.finish()?;
    Ok(Record { attributes, timestamp_delta, offset_delta, key, value, headers: Headers { count, bytes } })
}

fn read_header<'a>(r: &mut Reader<'a>) -> Result<Header<'a>, DecodeError> {
    let len = non_negative(r)?;
    let key = r.bytes(len)?;
    Ok(Header { key, value: nullable_bytes(r)? })
}

fn non_negative(r: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let raw = r.varint()?;
    usize::try_from(raw).map_err(|_| r.error(Kind::NegativeLength(i64::from(raw))))
}

fn nullable_bytes<'a>(r: &mut Reader<'a>) -> Result<Option<&'a [u8]>, DecodeError> {
    // Any negative length is null, as in Kafka.
    match usize::try_from(r.varint()?) {
        Ok(len) => r.bytes(len).map(Some),
        Err(_) => Ok(None),
    }
}
