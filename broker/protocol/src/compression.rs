//! The codecs of record batches, in the framing that Java's and librdkafka's producers use.

use std::fmt;
use std::io::{Read, Write};

mod snappy;
#[cfg(test)]
mod tests;

/// `compression.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    #[error("invalid {codec} data: {reason}")]
    Corrupt { codec: Compression, reason: String },
    #[error("{codec} data is over {max} bytes when decompressed")]
    TooLarge { codec: Compression, max: usize },
}

impl Compression {
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The codec of a batch's attributes.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    pub fn id(self) -> u8 {
        self as u8
    }

    /// Kafka's name in configuration.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    pub fn compress(self, data: &[u8]) -> Result<Vec<u8>, CompressionError> {
        self.compress_with(data, None)
    }

    /// At a level of gzip (0 to 9) or zstd; `None` for the codec's own, which the others always take.
    pub fn compress_with(self, data: &[u8], level: Option<i32>) -> Result<Vec<u8>, CompressionError> {
        match self {
            Compression::None => Ok(data.to_vec()),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), gzip_level(level));
                encoder.write_all(data).and_then(|()| encoder.finish()).map_err(|error| self.corrupt(error))
            }
            Compression::Snappy => snappy::compress(data),
            Compression::Lz4 => {
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_size(lz4_flex::frame::BlockSize::Max64KB)
                    .block_mode(lz4_flex::frame::BlockMode::Independent);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(data).map_err(|error| self.corrupt(error))?;
                encoder.finish().map_err(|error| self.corrupt(error))
            }
            Compression::Zstd => {
                zstd::stream::encode_all(data, level.unwrap_or(3)).map_err(|error| self.corrupt(error))
            }
        }
    }

    /// Decompresses to at most `max_bytes`. Memory grows with what is really there, not with what the data says of
    /// itself.
    pub fn decompress(self, data: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
        match self {
            Compression::None if data.len() > max_bytes => Err(self.too_large(max_bytes)),
            Compression::None => Ok(data.to_vec()),
            Compression::Gzip => self.read_bounded(flate2::read::MultiGzDecoder::new(data), max_bytes),
            Compression::Snappy => snappy::decompress(data, max_bytes),
            Compression::Lz4 => self.read_bounded(lz4_flex::frame::FrameDecoder::new(data), max_bytes),
            Compression::Zstd => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(data).map_err(|error| self.corrupt(error))?;
                decoder.window_log_max(zstd_window_log(max_bytes)).map_err(|error| self.corrupt(error))?;
                self.read_bounded(decoder, max_bytes)
            }
        }
    }

    fn read_bounded(self, reader: impl Read, max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
        let mut out = Vec::new();
        // One byte more than allowed tells a full buffer from one that overflows.
        let limit = (max_bytes as u64).saturating_add(1);
        reader.take(limit).read_to_end(&mut out).map_err(|error| self.corrupt(error))?;
        if out.len() > max_bytes { Err(self.too_large(max_bytes)) } else { Ok(out) }
    }

    fn corrupt(self, reason: impl fmt::Display) -> CompressionError {
        CompressionError::Corrupt { codec: self, reason: reason.to_string() }
    }

    fn too_large(self, max: usize) -> CompressionError {
        CompressionError::TooLarge { codec: self, max }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A negative level is gzip's own.
fn gzip_level(level: Option<i32>) -> flate2::Compression {
    match level.and_then(|level| u32::try_from(level).ok()) {
        Some(level) => flate2::Compression::new(level.min(9)),
        None => flate2::Compression::default(),
    }
}

/// The largest window a zstd frame may ask memory for: enough for the output allowed, at least the 8 MiB that every
/// decoder should support (RFC 8878), at most zstd's own default of 128 MiB.
fn zstd_window_log(max_bytes: usize) -> u32 {
    usize::BITS.saturating_sub(max_bytes.saturating_sub(1).leading_zeros()).clamp(23, 27)
}
