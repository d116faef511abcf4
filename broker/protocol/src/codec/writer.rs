//! A growing output buffer that can leave holes for bytes sent straight from a file.

use super::error::{EncodeError, EncodeErrorKind as Kind};

/// `len` bytes that are not in the buffer and go onto the wire after its first `position` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Offset in the buffer (which holds no byte of any hole).
    pub position: usize,
    pub len: u32,
}

/// Writes big-endian values and varints.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    buffer: Vec<u8>,
    holes: Vec<Hole>,
    hole_bytes: u64,
}

macro_rules! fixed {
    ($($name:ident: $ty:ty),*) => { $(
        #[inline]
        pub fn $name(&mut self, value: $ty) {
            self.buffer.extend_from_slice(&value.to_be_bytes());
        }
    )* };
}

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: Vec::with_capacity(capacity), ..Self::default() }
    }

    /// Appends to `buffer`, for buffers from a pool.
    pub fn with_buffer(buffer: Vec<u8>) -> Self {
        Self { buffer, ..Self::default() }
    }

    fixed!(put_i8: i8, put_u8: u8, put_i16: i16, put_u16: u16, put_i32: i32, put_u32: u32, put_i64: i64, put_f64: f64);

    #[inline]
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    #[inline]
    pub fn put_uvarint(&mut self, value: u32) {
        self.put_uvarlong(u64::from(value));
    }

    /// Zigzag varint, as in records.
    #[inline]
    pub fn put_varint(&mut self, value: i32) {
        self.put_uvarint(((value << 1) ^ (value >> 31)) as u32);
    }

    /// Zigzag varint, as in records.
    #[inline]
    pub fn put_varlong(&mut self, value: i64) {
        self.put_uvarlong(((value << 1) ^ (value >> 63)) as u64);
    }

    #[inline]
    fn put_uvarlong(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buffer.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.push(value as u8);
    }

    /// A length or count, `None` for null. `short` lengths are 16 bits when not compact.
    #[inline]
    pub(crate) fn put_length(&mut self, len: Option<usize>, compact: bool, short: bool) -> Result<(), EncodeError> {
        let max = if short { i16::MAX as usize } else { i32::MAX as usize };
        match len {
            Some(len) if len > max => return Err(EncodeError::new(Kind::TooLong { len, max })),
            Some(len) if compact => self.put_uvarint(len as u32 + 1),
            Some(len) if short => self.put_i16(len as i16),
            Some(len) => self.put_i32(len as i32),
            None if compact => self.put_uvarint(0),
            None if short => self.put_i16(-1),
            None => self.put_i32(-1),
        }
        Ok(())
    }

    /// One tagged field whose value `write` writes. Holes have no place in tagged fields.
    pub(crate) fn put_tagged_field(
        &mut self,
        tag: u32,
        write: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut value = Writer::new();
        write(&mut value)?;
        debug_assert!(value.holes.is_empty());
        let size = u32::try_from(value.buffer.len())
            .map_err(|_| EncodeError::new(Kind::TooLong { len: value.buffer.len(), max: u32::MAX as usize }))?;
        self.put_uvarint(tag);
        self.put_uvarint(size);
        self.put_slice(&value.buffer);
        Ok(())
    }

    /// Leaves out `len` bytes that the sender takes from elsewhere.
    pub fn put_hole(&mut self, len: u32) {
        if len > 0 {
            self.holes.push(Hole { position: self.buffer.len(), len });
            self.hole_bytes += u64::from(len);
        }
    }

    /// Overwrites four bytes already written. Does nothing when there are none at `position`.
    pub(crate) fn patch_i32(&mut self, position: usize, value: i32) {
        if let Some(slot) = self.buffer.get_mut(position..).and_then(|rest| rest.first_chunk_mut::<4>()) {
            *slot = value.to_be_bytes();
        }
    }

    /// Forgets what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.holes.clear();
        self.hole_bytes = 0;
    }

    /// Bytes in the buffer, holes not counted.
    #[inline]
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.holes.is_empty()
    }

    /// Bytes on the wire: the buffer and all holes.
    pub fn wire_len(&self) -> u64 {
        self.buffer.len() as u64 + self.hole_bytes
    }

    /// The holes in the order they go onto the wire.
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    pub fn into_vec(self) -> Vec<u8> {
        self.buffer
    }

    /// The buffer and the holes.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Hole>) {
        (self.buffer, self.holes)
    }
}
