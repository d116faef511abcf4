//! A compressed file's content at any offset, with a window of it in memory.
//!
//! Reading goes forward mostly; what is before the window is had by decompressing from the beginning again. Memory is the
//! window and the decoder's own (bounded by its format), whatever the file claims; content that expands beyond what
//! compressed logs do is refused.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    rc::Rc,
};

use super::Format;

/// Decompressed at once.
const STEP: usize = 64 << 10;
/// Content may be this many times as large as its file, once it is larger than [`SURE`].
const MAX_RATIO: u64 = 2000;
const SURE: u64 = 64 << 20;

pub(crate) struct Packed {
    file: Rc<File>,
    format: Format,
    decoder: Option<Box<dyn Read>>,
    /// Content from `start` on.
    window: Vec<u8>,
    start: u64,
    /// What is kept in the window at least.
    keep: usize,
    /// The content ends where the window does; the file's size at which it was so.
    ended: Option<u64>,
}

/// Reads a file from its beginning, at a place of its own.
struct From {
    file: Rc<File>,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Packed {
    pub(super) fn new(file: File, format: Format, block: usize) -> Self {
        let keep = block.saturating_mul(2).saturating_add(2 * STEP);
        Self { file: Rc::new(file), format, decoder: None, window: Vec::new(), start: 0, keep, ended: None }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// How much of the content is known.
    pub(super) fn known(&self) -> u64 {
        self.start + self.window.len() as u64
    }

    /// How much of the content is known, more than `beyond` if there is more.
    pub(super) fn size_beyond(&mut self, beyond: u64) -> io::Result<u64> {
        if self.ended.is_some_and(|at| self.file.metadata().is_ok_and(|m| m.len() != at)) {
            // It was still being written.
            self.restart();
        }
        while self.known() <= beyond && self.step()? {}
        Ok(self.known())
    }

    pub(super) fn read_at(&mut self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        if at < self.start {
            self.restart();
        }
        while self.known() < at.saturating_add(buffer.len() as u64) && self.step()? {}
        let Some(from) = at.checked_sub(self.start).and_then(|n| self.window.get(usize::try_from(n).ok()?..)) else {
            return Ok(0);
        };
        let n = from.len().min(buffer.len());
        buffer[..n].copy_from_slice(&from[..n]);
        Ok(n)
    }

    fn restart(&mut self) {
        (self.decoder, self.start, self.ended) = (None, 0, None);
        self.window.clear();
    }

    /// Decompresses a little more; false at the end. A file that ends too early ends there: more may be written.
    fn step(&mut self) -> io::Result<bool> {
        if self.ended.is_some() {
            return Ok(false);
        }
        if self.window.len() > self.keep * 2 {
            let old = self.window.len() - self.keep;
            self.window.drain(..old);
            self.start += old as u64;
        }
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => {
                let from = From { file: Rc::clone(&self.file), at: 0 };
                none.insert(self.format.decoder(BufReader::with_capacity(STEP, from))?)
            }
        };
        // Asked before: what is written meanwhile is seen as growth.
        let size = self.file.metadata()?.len();
        let before = self.window.len();
        self.window.resize(before + STEP, 0);
        let read = decoder.read(&mut self.window[before..]);
        self.window.truncate(before + read.as_ref().map_or(0, |n| *n));
        match read {
            Ok(0) => self.ended = Some(size),
            Ok(_) if self.known() > SURE.max(size.saturating_mul(MAX_RATIO)) => {
                self.ended = Some(size);
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("its content is more than {MAX_RATIO} times as large as the file, which no log is"),
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.ended = Some(size),
            Err(error) => {
                self.ended = Some(size);
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("cannot decompress: {error}")));
            }
        }
        Ok(self.ended.is_none())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::io::Write;

    use super::*;

    fn compressed(format: Format, content: &[u8]) -> Vec<u8> {
        match format {
            Format::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
            Format::Zstd => zstd::encode_all(content, 1).unwrap(),
            Format::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn content_at_any_offset_in_a_bounded_window() {
        let content: Vec<u8> = (0..600_000_u32).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        for format in [Format::Gzip, Format::Zstd, Format::Bzip2] {
            // Two members behind each other are one content.
            let (one, other) = content.split_at(1_000_000);
            let bytes = [compressed(format, one), compressed(format, other)].concat();
            let mut packed = Packed::new(file(&bytes), format, 10_000);
            let len = content.len() as u64;
            for at in [0, 999_990, 5, len - 7, 3_000_000, len, len + 9] {
                let mut buffer = [0; 100];
                let n = packed.read_at(&mut buffer, at).unwrap();
                let expected = content.get(usize::try_from(at).unwrap()..).unwrap_or_default();
                assert_eq!(expected[..expected.len().min(100)], buffer[..n], "{format:?} at {at}");
                assert!(packed.window.capacity() < 1 << 20, "{}", packed.window.capacity());
            }
            assert_eq!(len, packed.size_beyond(u64::MAX).unwrap());
        }
    }

    #[test]
    fn a_file_that_is_still_written_and_one_that_is_damaged() {
        let bytes = compressed(Format::Gzip, &b"some line\n".repeat(100_000));
        let mut packed = Packed::new(file(&bytes[..bytes.len() / 2]), Format::Gzip, 1000);
        assert!(packed.size_beyond(u64::MAX).unwrap() < 1_000_000);
        packed.file().write_all_at(&bytes, 0).unwrap();
        assert_eq!(1_000_000, packed.size_beyond(u64::MAX).unwrap());
        let mut garbage = bytes;
        garbage.iter_mut().skip(30).for_each(|b| *b ^= 0x55);
        let mut packed = Packed::new(file(&garbage), Format::Gzip, 1000);
        assert!(packed.size_beyond(u64::MAX).unwrap_err().to_string().contains("cannot decompress"));
    }

    #[test]
    fn content_that_expands_beyond_measure_is_refused() {
        let mut bomb = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        let zeros = vec![0; 1 << 20];
        (0..300).for_each(|_| bomb.write_all(&zeros).unwrap());
        let mut packed = Packed::new(file(&bomb.finish().unwrap()), Format::Zstd, 1000);
        let error = packed.size_beyond(u64::MAX).unwrap_err();
        assert!(error.to_string().contains("times as large"), "{error}");
        assert!(packed.known() < 200 << 20);
    }
}
