//! Where a file's content comes from: the file itself, or what is compressed in it.

mod format;
mod packed;

use std::{cell::RefCell, fs::File, io, os::unix::fs::FileExt};

pub(crate) use format::Format;
use packed::Packed;

use crate::identity::Stat;

/// An open file.
pub(crate) enum Source {
    Plain(File),
    Packed(RefCell<Box<Packed>>),
}

impl Source {
    /// `block`: the longest read there will be.
    pub(crate) fn packed(file: File, format: Format, block: usize) -> Self {
        Self::Packed(RefCell::new(Box::new(Packed::new(file, format, block))))
    }

    pub(crate) fn is_packed(&self) -> bool {
        matches!(self, Self::Packed(_))
    }

    /// What the file system says, with the content's size. Of compressed content the size is what is known of it so far,
    /// more than `beyond` if there is more.
    pub(crate) fn stat(&self, beyond: u64) -> io::Result<Stat> {
        match self {
            Self::Plain(file) => Stat::of_file(file),
            Self::Packed(packed) => {
                let mut packed = packed.borrow_mut();
                let size = packed.size_beyond(beyond)?;
                Ok(Stat { size, ..Stat::of_file(packed.file())? })
            }
        }
    }

    /// What the file system says of the file itself.
    pub(crate) fn on_disk(&self) -> io::Result<Stat> {
        match self {
            Self::Plain(file) => Stat::of_file(file),
            Self::Packed(packed) => Stat::of_file(packed.borrow().file()),
        }
    }

    /// The content's size as last seen; none when it cannot be told.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::Plain(file) => file.metadata().ok().map(|m| m.len()),
            Self::Packed(packed) => Some(packed.borrow().known()),
        }
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read_at(buffer, at),
            Self::Packed(packed) => packed.borrow_mut().read_at(buffer, at),
        }
    }

    /// Fills `buffer` from `at` on, less where the content ends before.
    pub(crate) fn read_fully(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    /// Up to `len` bytes from `at` on.
    pub(crate) fn bytes_at(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let filled = self.read_fully(&mut bytes, at)?;
        bytes.truncate(filled);
        Ok(bytes)
    }
}
