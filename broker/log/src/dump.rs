//! Looking into a log's files without a broker: what is in them, and what is wrong with them. Nothing is written; a running broker's files may be looked at.
//!
//! Segments, their indexes, producer snapshots and checkpoints are told apart by their names, which are Kafka's.

mod index;
mod segment;
mod side;

use crate::names;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Indexes, snapshots and checkpoints larger than this are refused.
const LARGEST_SIDE_FILE: u64 = 256 << 20;

/// One thing found in a file, as named fields in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `batch`, `record`, `index`, `time_index`, `transaction`, `producer`, `epoch`, `offset`, `topic_id` or `file` (what is wrong with it as a whole).
    pub kind: &'static str,
    pub fields: Vec<(&'static str, Field)>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    Number(i64),
    Text(String),
    Flag(bool),
    /// Bytes that are not text, as hexadecimal.
    Bytes(String),
    Null,
}

/// Takes what is found; an error ends the dump.
pub type Visit<'a> = dyn FnMut(Entry) -> io::Result<()> + 'a;

impl Entry {
    fn new(kind: &'static str, fields: Vec<(&'static str, Field)>) -> Self {
        Self { kind, fields, problem: None }
    }

    fn of_file(problem: impl Into<String>) -> Self {
        Self { kind: "file", fields: Vec::new(), problem: Some(problem.into()) }
    }

    fn with(mut self, problem: Option<String>) -> Self {
        self.problem = problem;
        self
    }
}

impl Field {
    fn bytes(bytes: Option<&[u8]>) -> Self {
        match bytes.map(std::str::from_utf8) {
            None => Self::Null,
            Some(Ok(text)) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => {
                Self::Text(text.to_owned())
            }
            _ => Self::Bytes(bytes.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }
}

impl From<i64> for Field {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<i32> for Field {
    fn from(value: i32) -> Self {
        Self::Number(value.into())
    }
}

impl From<i16> for Field {
    fn from(value: i16) -> Self {
        Self::Number(value.into())
    }
}

impl From<u64> for Field {
    fn from(value: u64) -> Self {
        Self::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Field {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<bool> for Field {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

/// The files that [`dump`] knows: `path` itself, or if it is a directory those in it, by name.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_file() && Kind::of(&path).is_some() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Tells `visit` everything in a file and what is wrong with it. `deep`: the records too. Fails when the file cannot be read or is of no known kind.
pub fn dump(path: &Path, deep: bool, visit: &mut Visit<'_>) -> io::Result<()> {
    match Kind::of(path) {
        Some(Kind::Log(base)) => segment::dump(path, base, deep, visit),
        Some(Kind::Index(base)) => index::offsets(path, base, visit),
        Some(Kind::TimeIndex(base)) => index::times(path, base, visit),
        Some(Kind::Transactions) => side::transactions(&read(path)?, visit),
        Some(Kind::Snapshot) => side::producers(&read(path)?, visit),
        Some(Kind::Epochs) => side::epochs(&read(path)?, visit),
        Some(Kind::Offsets) => side::offsets(&read(path)?, visit),
        Some(Kind::Topic) => side::topic(&read(path)?, visit),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a file of a log: expected a .log, .index, .timeindex, .txnindex or .snapshot, a checkpoint or partition.metadata",
        )),
    }
}

/// What a file's name says it is; segments and their indexes with the base offset.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Log(i64),
    Index(i64),
    TimeIndex(i64),
    Transactions,
    Snapshot,
    Epochs,
    Offsets,
    Topic,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        if let Some((base, extension)) = names::parse_segment_file(path) {
            // Replacements being made and files about to go are of the same form.
            let extension = extension.split('.').next()?;
            return match extension {
                names::LOG => Some(Self::Log(base)),
                names::INDEX => Some(Self::Index(base)),
                names::TIME_INDEX => Some(Self::TimeIndex(base)),
                names::TXN_INDEX => Some(Self::Transactions),
                names::SNAPSHOT => Some(Self::Snapshot),
                _ => None,
            };
        }
        match path.file_name()?.to_str()? {
            names::LEADER_EPOCHS => Some(Self::Epochs),
            names::PARTITION_METADATA => Some(Self::Topic),
            names::FENCES
            | names::RECOVERY_POINTS
            | names::LOG_STARTS
            | names::HIGH_WATERMARKS
            | names::CLEANER_OFFSETS => Some(Self::Offsets),
            _ => None,
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(LARGEST_SIDE_FILE + 1).read_to_end(&mut bytes)?;
    if read as u64 > LARGEST_SIDE_FILE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("larger than {LARGEST_SIDE_FILE} bytes")));
    }
    Ok(bytes)
}
