//! Compressed formats: by name, since content alone says nothing of whose continuation it is, and by first bytes.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::Path,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
    Zstd,
    Bzip2,
}

/// The largest window a zstd file may ask memory for, as a power of two: 8 MiB, what its levels up to 19 use.
const ZSTD_WINDOW: u32 = 23;

impl Format {
    /// The format that a name tells, and the name without that.
    pub(crate) fn of_name(name: &OsStr) -> Option<(Self, &OsStr)> {
        let name = name.as_bytes();
        let (stem, ending) = name.split_at(name.iter().rposition(|b| *b == b'.')?);
        let format = match ending {
            b".gz" => Self::Gzip,
            b".zst" => Self::Zstd,
            b".bz2" => Self::Bzip2,
            _ => return None,
        };
        (!stem.is_empty()).then_some((format, OsStr::from_bytes(stem)))
    }

    /// Whether a file begins as this format does.
    pub(crate) fn begins(self, beginning: &[u8]) -> bool {
        let magic: &[u8] = match self {
            Self::Gzip => b"\x1f\x8b",
            Self::Zstd => b"\x28\xb5\x2f\xfd",
            Self::Bzip2 => b"BZh",
        };
        beginning.starts_with(magic)
    }

    /// Whether a file's content is compressed as its name says.
    pub(crate) fn is_of(path: &Path) -> bool {
        let named = path.file_name().and_then(Self::of_name);
        let Some((format, _)) = named else { return false };
        let mut beginning = [0; 4];
        let read = File::open(path).and_then(|file| file.read_at(&mut beginning, 0));
        read.is_ok_and(|n| format.begins(&beginning[..n]))
    }

    pub(super) fn decoder<'a>(self, from: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(from)),
            Self::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(from)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(from)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Box::new(decoder)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_beginnings() {
        assert_eq!(Some((Format::Gzip, OsStr::new("app.log.2"))), Format::of_name(OsStr::new("app.log.2.gz")));
        assert_eq!(Some((Format::Zstd, OsStr::new("app.log"))), Format::of_name(OsStr::new("app.log.zst")));
        assert_eq!(
            Some((Format::Bzip2, OsStr::new("app.log-20260501"))),
            Format::of_name(OsStr::new("app.log-20260501.bz2"))
        );
        for name in ["app.log", ".gz", "gz", "app.log.xz", ""] {
            assert_eq!(None, Format::of_name(OsStr::new(name)), "{name}");
        }
        assert!(Format::Gzip.begins(b"\x1f\x8b\x08") && !Format::Gzip.begins(b"text") && !Format::Zstd.begins(b""));
    }
}
