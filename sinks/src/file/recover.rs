//! What of a file's end is kept when it is opened again: whole lines that have reached the disk.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

/// Bytes looked through before the end. A file system that was not synced leaves zeros only where nothing was acknowledged,
/// which is never more than what was written between two syncs.
const TAIL: u64 = 256 << 20;
const BLOCK: usize = 1 << 20;

/// The length up to which `file` holds whole lines: without a line that was begun, and without anything from the first NUL
/// in its end on, which JSON never holds but a power cut leaves behind.
pub(super) fn whole_lines(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut block = vec![0; BLOCK];
    // Where the last line end before any NUL stands.
    let (mut at, mut end) = (start, start);
    loop {
        let read = file.read(&mut block)?;
        let bytes = block.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(end);
        }
        let sound = bytes.iter().position(|byte| *byte == 0).unwrap_or(read);
        if let Some(last) = bytes.get(..sound).unwrap_or_default().iter().rposition(|byte| *byte == b'\n') {
            end = at + last as u64 + 1;
        }
        if sound < read {
            return Ok(end);
        }
        at += read as u64;
    }
}
