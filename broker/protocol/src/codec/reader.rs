//! A checked cursor over borrowed bytes.

use super::error::{DecodeError, DecodeErrorKind as Kind};

/// Reads big-endian values and varints from a slice; what it returns borrows the slice, never a copy.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    position: usize,
}

macro_rules! fixed {
    ($($name:ident: $ty:ty),*) => { $(
        /// Reads one big-endian value.
        #[inline]
        pub fn $name(&mut self) -> Result<$ty, DecodeError> {
            Ok(<$ty>::from_be_bytes(self.array()?))
        }
    )* };
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, position: 0 }
    }

    fixed!(i8: i8, u8: u8, i16: i16, u16: u16, i32: i32, u32: u32, i64: i64, f64: f64);

    /// Bytes not read yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Bytes read so far, counted from the outermost input.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }

    /// What is left, without reading it.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Fails when bytes are left over.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(Kind::TrailingBytes(self.rest.len()))) }
    }

    /// An error at the current position.
    #[cold]
    pub fn error(&self, kind: Kind) -> DecodeError {
        DecodeError::new(kind, self.position)
    }

    /// The next `len` bytes.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(len) {
            Some((head, tail)) => {
                self.rest = tail;
                self.position += len;
                Ok(head)
            }
            None => Err(self.error(Kind::Truncated { needed: len, left: self.rest.len() })),
        }
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                self.position += N;
                Ok(*head)
            }
            None => Err(self.error(Kind::Truncated { needed: N, left: self.rest.len() })),
        }
    }

    /// A reader over the next `len` bytes only, which are thereby read from this one.
    pub fn sub(&mut self, len: usize) -> Result<Reader<'a>, DecodeError> {
        let position = self.position;
        Ok(Reader { rest: self.bytes(len)?, position })
    }

    /// Unsigned varint of at most 32 bits (five bytes).
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let value = self.uvarlong_of(5)?;
        u32::try_from(value).map_err(|_| self.error(Kind::InvalidVarint))
    }

    /// Zigzag varint of at most 32 bits, as in records.
    #[inline]
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let raw = self.uvarint()?;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// Zigzag varint of at most 64 bits, as in records.
    #[inline]
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let raw = self.uvarlong_of(10)?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    #[inline]
    fn uvarlong_of(&mut self, max_bytes: u32) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for index in 0..max_bytes {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if index == 9 && bits > 1 {
                break;
            }
            value |= bits << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error(Kind::InvalidVarint))
    }

    /// A length or count whose -1 (compact: 0) means null: `None`. `short` lengths are 16 bits when not compact.
    #[inline]
    pub(crate) fn length(&mut self, compact: bool, short: bool) -> Result<Option<usize>, DecodeError> {
        if compact {
            let raw = self.uvarint()?;
            return Ok(raw.checked_sub(1).map(|len| len as usize));
        }
        let raw = if short { i32::from(self.i16()?) } else { self.i32()? };
        match usize::try_from(raw) {
            Ok(len) => Ok(Some(len)),
            Err(_) if raw == -1 => Ok(None),
            Err(_) => Err(self.error(Kind::NegativeLength(i64::from(raw)))),
        }
    }

    /// Text of `len` bytes.
    #[inline]
    pub fn str(&mut self, len: usize) -> Result<&'a str, DecodeError> {
        let at = self.position;
        std::str::from_utf8(self.bytes(len)?).map_err(|_| DecodeError::new(Kind::InvalidUtf8, at))
    }

    /// Refuses a count of elements of at least `min_size` bytes each that the bytes left cannot hold.
    #[inline]
    pub(crate) fn check_count(&self, count: usize, min_size: usize) -> Result<(), DecodeError> {
        if count <= self.remaining() / min_size.max(1) {
            Ok(())
        } else {
            Err(self.error(Kind::CountTooLarge { count, left: self.remaining() }))
        }
    }

    /// The next tagged field: its tag and its bytes.
    pub(crate) fn tagged_field(&mut self) -> Result<(u32, Reader<'a>), DecodeError> {
        let tag = self.uvarint()?;
        let size = self.uvarint()?;
        Ok((tag, self.sub(size as usize)?))
    }

    /// Skips a block of tagged fields.
    pub fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        for _ in 0..self.uvarint()? {
            self.tagged_field()?;
        }
        Ok(())
    }
}
