//! A segment: its batches one after another, each with its checks; with `deep` the records in them.

use super::{Entry, Field, Visit};
use logmill_protocol::records::{Batch, BatchHeader, HEADER_BYTES, LOG_OVERHEAD, TimestampType};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

/// One batch decompresses to at most this.
const LARGEST_DECOMPRESSED: usize = 1 << 30;

/// Batches of a segment file in turn, by their headers; the bytes are read when they are there.
pub(super) struct Walk {
    file: BufReader<File>,
    len: u64,
    pub position: u64,
    /// Nothing can be read any more.
    ended: bool,
}

/// What is at a position.
pub(super) enum Step {
    Batch(BatchHeader, Vec<u8>),
    /// What is wrong; nothing can be read behind it.
    Damage(String),
    End,
}

impl Walk {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file: BufReader::with_capacity(256 << 10, file), len, position: 0, ended: false })
    }

    pub(super) fn next(&mut self) -> io::Result<Step> {
        if self.ended {
            return Ok(Step::End);
        }
        let step = self.read()?;
        self.ended = !matches!(step, Step::Batch(..));
        Ok(step)
    }

    fn read(&mut self) -> io::Result<Step> {
        let left = self.len.saturating_sub(self.position);
        if left == 0 {
            return Ok(Step::End);
        }
        let mut bytes = vec![0; HEADER_BYTES.min(usize::try_from(left).unwrap_or(HEADER_BYTES))];
        self.file.read_exact(&mut bytes)?;
        // A broker that runs, or was killed, has prepared the disk behind the log's end.
        if only_zeros(&bytes) && self.rest_is_zeros()? {
            return Ok(Step::End);
        }
        if bytes.len() < HEADER_BYTES {
            return Ok(Step::Damage(format!("{left} bytes at the end are not a batch")));
        }
        let header = match BatchHeader::parse(&bytes) {
            Ok(header) => header,
            Err(error) => return Ok(Step::Damage(error.to_string())),
        };
        let len = header.total_len();
        if len as u64 > left {
            return Ok(Step::Damage(format!("a batch of {len} bytes where {left} are left")));
        }
        // At most what the file has.
        bytes.resize(len.max(LOG_OVERHEAD), 0);
        let rest = bytes.get_mut(HEADER_BYTES..).unwrap_or_default();
        self.file.read_exact(rest)?;
        self.position += len as u64;
        Ok(Step::Batch(header, bytes))
    }

    fn rest_is_zeros(&mut self) -> io::Result<bool> {
        loop {
            let block = self.file.fill_buf()?;
            if block.is_empty() || !only_zeros(block) {
                return Ok(block.is_empty());
            }
            let len = block.len();
            self.file.consume(len);
        }
    }
}

fn only_zeros(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

pub(super) fn dump(path: &Path, base: i64, deep: bool, visit: &mut Visit<'_>) -> io::Result<()> {
    let mut walk = Walk::open(path)?;
    let mut expected = base;
    loop {
        let position = walk.position;
        match walk.next()? {
            Step::End => return Ok(()),
            Step::Damage(problem) => {
                let fields = vec![("position", position.into())];
                return visit(Entry::new("batch", fields).with(Some(problem)));
            }
            Step::Batch(header, bytes) => {
                let batch = Batch { header, bytes: &bytes };
                let problem = problem(&batch, expected);
                let sound = problem.is_none();
                visit(Entry::new("batch", fields(&header, position)).with(problem))?;
                if deep && sound {
                    records(&batch, visit)?;
                }
                expected = header.next_offset().max(expected);
            }
        }
    }
}

fn problem(batch: &Batch<'_>, expected: i64) -> Option<String> {
    if let Err(error) = batch.check_crc() {
        return Some(error.to_string());
    }
    let header = batch.header;
    if header.base_offset < expected {
        return Some(format!("expected offset {expected} or later"));
    }
    if header.last_offset_delta < 0 || header.record_count < 0 {
        return Some("a negative count".to_owned());
    }
    if i64::from(header.record_count) > i64::from(header.last_offset_delta) + 1 {
        return Some(format!("{} records where its offsets leave room for fewer", header.record_count));
    }
    header.attributes.compression().err().map(|error| error.to_string())
}

fn fields(header: &BatchHeader, position: u64) -> Vec<(&'static str, Field)> {
    let attributes = header.attributes;
    let codec = attributes.compression().map_or_else(|_| "unknown".to_owned(), |codec| codec.to_string());
    let time = match attributes.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    vec![
        ("base_offset", header.base_offset.into()),
        ("last_offset", header.last_offset().into()),
        ("count", header.record_count.into()),
        ("position", position.into()),
        ("size", (header.total_len() as u64).into()),
        ("codec", Field::Text(codec)),
        ("timestamp_type", Field::Text(time.to_owned())),
        ("base_timestamp", header.base_timestamp.into()),
        ("max_timestamp", header.max_timestamp.into()),
        ("leader_epoch", header.partition_leader_epoch.into()),
        ("producer_id", header.producer_id.into()),
        ("producer_epoch", header.producer_epoch.into()),
        ("base_sequence", header.base_sequence.into()),
        ("last_sequence", header.last_sequence().into()),
        ("transactional", attributes.is_transactional().into()),
        ("control", attributes.is_control().into()),
        ("delete_horizon", attributes.has_delete_horizon().into()),
        ("crc", header.crc.into()),
    ]
}

fn records(batch: &Batch<'_>, visit: &mut Visit<'_>) -> io::Result<()> {
    let header = batch.header;
    let damaged =
        |problem: String| Entry::new("record", vec![("base_offset", header.base_offset.into())]).with(Some(problem));
    let data = match batch.decompress(LARGEST_DECOMPRESSED) {
        Ok(data) => data,
        Err(error) => return visit(damaged(error.to_string())),
    };
    let mut newest = i64::MIN;
    for record in batch.records_in(&data) {
        let record = match record {
            Ok(record) => record,
            Err(error) => return visit(damaged(error.to_string())),
        };
        let (offset, timestamp) = (header.offset_of(&record), header.timestamp_of(&record));
        newest = newest.max(timestamp);
        let out = offset < header.base_offset || offset > header.last_offset();
        let headers: Vec<String> =
            record.headers.iter().map(|h| format!("{}={}", text(Some(h.key)), text(h.value))).collect();
        let fields = vec![
            ("offset", offset.into()),
            ("timestamp", timestamp.into()),
            ("key", Field::bytes(record.key)),
            ("value", Field::bytes(record.value)),
            ("headers", Field::Text(headers.join(" "))),
        ];
        visit(Entry::new("record", fields).with(out.then(|| "its offset is not its batch's".to_owned())))?;
    }
    // A compacted batch keeps the time it had.
    let whole = i64::from(header.record_count) == i64::from(header.last_offset_delta) + 1;
    if whole && header.record_count > 0 && newest != header.max_timestamp && !header.attributes.has_delete_horizon() {
        return visit(damaged(format!("the newest record is of {newest}, the batch says {}", header.max_timestamp)));
    }
    Ok(())
}

fn text(bytes: Option<&[u8]>) -> String {
    match Field::bytes(bytes) {
        Field::Text(text) => text,
        Field::Bytes(hex) => format!("0x{hex}"),
        _ => "null".to_owned(),
    }
}
