//! Entries of the checkpoint log as bytes.
//!
//! A frame is `magic u32 | length u32 | crc32c u32 | payload`, the CRC over the payload; a payload is a sequence of
//! entries, each a kind byte and its fields, little endian. A frame counts whole or not at all.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf};

use crate::{
    identity::Generation,
    ledger::{Ledger, Reason},
};

pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"LMA1");
pub(crate) const HEADER: usize = 12;
/// Larger frames are not written, and taken for damage when read.
pub(crate) const MAX_PAYLOAD: usize = 16 << 20;

/// A stretch of a file and the time at which it was found there: the read time of the lines that end in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Milliseconds since 1970, UTC.
    pub(crate) time_ms: i64,
    /// Fingerprint of the up to 32 bytes before `start`, 0 at the file's beginning.
    pub(crate) mark: u64,
}

/// The bytes before an acknowledged offset, by which a copy of the file is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) at: u64,
    /// Fingerprint of the up to 1 KiB before `at`.
    pub(crate) hash: u64,
}

/// From when on an input's files are owed in full: its first start with these globs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Since {
    /// Fingerprint of the globs.
    pub(crate) globs: u64,
    /// Milliseconds since 1970, UTC.
    pub(crate) ms: i64,
}

/// A generation of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileEntry {
    pub(crate) id: u64,
    pub(crate) generation: Generation,
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    /// Nanoseconds since 1970, 0 unknown.
    pub(crate) birth: i64,
    pub(crate) truncations: u32,
    /// Where reading begins.
    pub(crate) start: u64,
    pub(crate) input: String,
    /// The name it was found under: `log.file.path` and the key of all its records, whatever it is called later.
    pub(crate) path: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// An input that has been started at least once.
    Input(String),
    File(FileEntry),
    Extent(u64, Extent),
    /// Time ended a line at this offset.
    Boundary(u64, u64),
    /// All before this offset is acknowledged or dropped.
    Position(u64, u64),
    /// Length and fingerprint of the file's beginning.
    Beginning(u64, u32, u64),
    /// The file is finished and deleted.
    Gone(u64),
    Ledger(Ledger),
    /// File numbers below this one were given.
    NextId(u64),
    /// Wall clock at writing, milliseconds since 1970.
    Written(i64),
    Mark(u64, Mark),
    Since(String, Since),
    /// A compressed file was read and acknowledged to its end.
    Done(u64),
}

impl Entry {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Input(name) => {
                out.push(1);
                put_bytes(out, name.as_bytes());
            }
            Self::File(file) => {
                out.push(2);
                put(out, &[file.id, file.dev, file.ino, file.birth.cast_unsigned(), file.start]);
                out.extend_from_slice(&file.truncations.to_le_bytes());
                out.extend_from_slice(&file.generation.0);
                put_bytes(out, file.input.as_bytes());
                put_bytes(out, file.path.as_os_str().as_bytes());
            }
            Self::Extent(id, e) => {
                out.push(3);
                put(out, &[*id, e.start, e.end, e.time_ms.cast_unsigned(), e.mark]);
            }
            Self::Boundary(id, offset) => {
                out.push(4);
                put(out, &[*id, *offset]);
            }
            Self::Position(id, offset) => {
                out.push(5);
                put(out, &[*id, *offset]);
            }
            Self::Beginning(id, len, hash) => {
                out.push(6);
                put(out, &[*id, u64::from(*len), *hash]);
            }
            Self::Gone(id) => {
                out.push(7);
                put(out, &[*id]);
            }
            Self::Ledger(ledger) => {
                out.push(8);
                put(out, &[ledger.acknowledged, ledger.bytes_lost]);
                out.push(Reason::ALL.len() as u8);
                put(out, &ledger.dropped);
            }
            Self::NextId(id) => {
                out.push(9);
                put(out, &[*id]);
            }
            Self::Written(ms) => {
                out.push(10);
                put(out, &[ms.cast_unsigned()]);
            }
            Self::Mark(id, mark) => {
                out.push(11);
                put(out, &[*id, mark.at, mark.hash]);
            }
            Self::Since(input, since) => {
                out.push(12);
                put_bytes(out, input.as_bytes());
                put(out, &[since.globs, since.ms.cast_unsigned()]);
            }
            Self::Done(id) => {
                out.push(13);
                put(out, &[*id]);
            }
        }
    }
}

fn put(out: &mut Vec<u8>, numbers: &[u64]) {
    numbers.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Starts a frame in `out`; [`end_frame`] completes it.
pub(crate) fn begin_frame(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; HEADER]);
    at
}

pub(crate) fn end_frame(out: &mut [u8], at: usize) {
    let (header, payload) = out[at..].split_at_mut(HEADER);
    header[..4].copy_from_slice(&MAGIC.to_le_bytes());
    header[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[8..].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
}

/// The payload of the frame at the start of `bytes`, if there is a whole one.
pub(crate) fn frame(bytes: &[u8]) -> Option<&[u8]> {
    let header = bytes.get(..HEADER)?;
    let field = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let len = field(4) as usize;
    if field(0) != MAGIC || len > MAX_PAYLOAD {
        return None;
    }
    let payload = bytes.get(HEADER..HEADER.checked_add(len)?)?;
    (crc32c::crc32c(payload) == field(8)).then_some(payload)
}

/// Decodes a payload; `None` where it is not what [`Entry::encode`] writes.
pub(crate) fn entries(payload: &[u8]) -> Option<Vec<Entry>> {
    let mut input = Input(payload);
    let mut entries = Vec::new();
    while !input.0.is_empty() {
        entries.push(entry(&mut input)?);
    }
    Some(entries)
}

fn entry(input: &mut Input) -> Option<Entry> {
    let kind = input.take(1)?[0];
    Some(match kind {
        1 => Entry::Input(input.text()?),
        2 => {
            let [id, dev, ino, birth, start] = input.numbers()?;
            let truncations = u32::from_le_bytes(input.take(4)?.try_into().ok()?);
            let generation = Generation(input.take(16)?.try_into().ok()?);
            let name = input.text()?;
            let path = PathBuf::from(OsStr::from_bytes(input.bytes()?));
            let birth = birth.cast_signed();
            Entry::File(FileEntry { id, generation, dev, ino, birth, truncations, start, input: name, path })
        }
        3 => {
            let [id, start, end, time, mark] = input.numbers()?;
            Entry::Extent(id, Extent { start, end, time_ms: time.cast_signed(), mark })
        }
        4 => input.numbers().map(|[id, offset]| Entry::Boundary(id, offset))?,
        5 => input.numbers().map(|[id, offset]| Entry::Position(id, offset))?,
        6 => {
            let [id, len, hash] = input.numbers()?;
            Entry::Beginning(id, u32::try_from(len).ok()?, hash)
        }
        7 => input.numbers().map(|[id]| Entry::Gone(id))?,
        8 => {
            let [acknowledged, bytes_lost] = input.numbers()?;
            let mut ledger = Ledger { acknowledged, bytes_lost, ..Ledger::default() };
            for at in 0..input.take(1)?[0] {
                let [count] = input.numbers()?;
                // A reason of a newer version is kept out, not misread.
                if let Some(slot) = ledger.dropped.get_mut(usize::from(at)) {
                    *slot = count;
                }
            }
            Entry::Ledger(ledger)
        }
        9 => input.numbers().map(|[id]| Entry::NextId(id))?,
        10 => input.numbers().map(|[ms]| Entry::Written(ms.cast_signed()))?,
        12 => {
            let name = input.text()?;
            let [globs, ms] = input.numbers()?;
            Entry::Since(name, Since { globs, ms: ms.cast_signed() })
        }
        13 => input.numbers().map(|[id]| Entry::Done(id))?,
        11 => input.numbers().map(|[id, at, hash]| Entry::Mark(id, Mark { at, hash }))?,
        _ => return None,
    })
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn numbers<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = u64::from_le_bytes(self.take(8)?.try_into().ok()?);
        }
        Some(numbers)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
        self.take(usize::try_from(len).ok()?)
    }

    fn text(&mut self) -> Option<String> {
        self.bytes().map(|b| String::from_utf8_lossy(b).into_owned())
    }
}
