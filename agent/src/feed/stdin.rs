//! Standard input into its spool, as it comes: what was read is in a file at once, half a line too.
//!
//! Segments are cut where an event begins. A line that is longer than any record may be is shortened here, since the
//! spool is bounded and a line is not.

use std::{
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use logmill_config::agent::OnLongLine;

use super::{Feeder, spool::Writer};
use crate::{clock::Now, frame::Framing};

/// What a pipe holds.
const CHUNK: usize = 64 << 10;
/// What was written is made durable so often.
const SYNC: Duration = Duration::from_secs(1);
/// Of a line that is too long so much more is kept, by which the engine sees that it is.
const EXCESS: usize = 8;

impl Feeder {
    /// What comes until the end is kept also when an error ends it.
    pub(super) fn stdin(&self) -> io::Result<()> {
        let framing = match Framing::new(&self.input) {
            Ok(framing) => framing,
            // Checked with the configuration.
            Err(error) => return Err(io::Error::other(error)),
        };
        let mut writer = Writer::new(std::sync::Arc::clone(&self.spool));
        let ended = self.pump(&framing, &mut writer);
        self.durable(&mut writer);
        writer.seal();
        if !matches!(ended, Ok(false)) {
            tracing::info!(input = self.input.name, "end of standard input");
            self.spool.doing("at the end of standard input");
            self.spool.end();
        }
        ended.map(|_| ())
    }

    /// Reads to the end, which is true, or until the feeder is to stop.
    fn pump(&self, framing: &Framing, writer: &mut Writer) -> io::Result<bool> {
        let stdin = std::io::stdin();
        let stdin = stdin.as_fd();
        let (mut chunk, mut shaped) = (vec![0; CHUNK], Vec::with_capacity(CHUNK));
        let mut shaper = Shaper::new(framing, writer.segment_bytes());
        let mut next_sync: Option<Instant> = None;
        while self.room(writer) {
            self.spool.doing("reads standard input");
            if next_sync.is_some_and(|at| Now::read().mono >= at) {
                self.durable(writer);
                next_sync = None;
            }
            if !self.wait([stdin], next_sync)[0] {
                continue;
            }
            let (read, failed) = match rustix::io::read(stdin, &mut chunk) {
                Ok(read) => (read, None),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
                Err(error) => {
                    tracing::error!(input = self.input.name, "cannot read standard input, taken for its end: {error}");
                    (0, Some(error))
                }
            };
            shaped.clear();
            if read == 0 {
                // The end of input ends its last line.
                if shaper.is_inside() {
                    self.lines.inc();
                    self.write(writer, b"\n");
                }
                return failed.map_or(Ok(true), |error| Err(error.into()));
            }
            let inside = shaper.is_inside();
            self.lines.inc_by(shaper.shape(&chunk[..read], &mut shaped));
            let mut rest = shaped.as_slice();
            if writer.len() + rest.len() as u64 >= writer.segment_bytes()
                && let Some(cut) = cut(framing, rest, inside, writer.len() >= 2 * writer.segment_bytes())
            {
                if !self.write(writer, &rest[..cut]) {
                    return Ok(false);
                }
                rest = &rest[cut..];
                self.durable(writer);
                writer.seal();
            }
            if !self.write(writer, rest) {
                return Ok(false);
            }
            if writer.is_dirty() {
                next_sync.get_or_insert_with(|| Now::read().mono + SYNC);
            }
        }
        Ok(false)
    }
}

/// Where the last event of some bytes begins, which then is the beginning of a segment. With `anywhere` the last line.
/// `inside`: the bytes begin inside a line.
fn cut(framing: &Framing, bytes: &[u8], inside: bool, anywhere: bool) -> Option<usize> {
    let last_line = memchr::memrchr(b'\n', bytes).map(|end| end + 1);
    if anywhere { last_line } else { framing.last_begin(bytes, inside) }
}

/// Bounds lines.
struct Shaper {
    /// Of the present line.
    len: usize,
    most: usize,
    /// What is more is left out, or begins a line of its own.
    splits: bool,
}

impl Shaper {
    fn new(framing: &Framing, segment: u64) -> Self {
        let splits = framing.on_long_line == OnLongLine::Split;
        let segment = usize::try_from(segment).unwrap_or(usize::MAX);
        Self { len: 0, most: if splits { segment } else { framing.max_line + EXCESS }, splits }
    }

    /// Whether a line was begun and not ended.
    fn is_inside(&self) -> bool {
        self.len > 0
    }

    /// Appends what is kept of `bytes`; how many lines end in them.
    fn shape(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> u64 {
        let (mut rest, mut lines) = (bytes, 0);
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let mut body = &rest[..end.unwrap_or(rest.len())];
            while body.len() > self.most.saturating_sub(self.len) {
                let (kept, more) = body.split_at(self.most.saturating_sub(self.len));
                out.extend_from_slice(kept);
                self.len += kept.len();
                if !self.splits {
                    body = &[];
                    break;
                }
                out.push(b'\n');
                (self.len, body) = (0, more);
            }
            out.extend_from_slice(body);
            self.len += body.len();
            match end {
                Some(end) => {
                    out.push(b'\n');
                    (self.len, rest) = (0, &rest[end + 1..]);
                    lines += 1;
                }
                None => rest = &[],
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn shaped(most: usize, splits: bool, step: usize, text: &str) -> (String, u64) {
        let mut shaper = Shaper { len: 0, most, splits };
        let (mut out, mut lines) = (Vec::new(), 0);
        text.as_bytes().chunks(step).for_each(|bytes| lines += shaper.shape(bytes, &mut out));
        (String::from_utf8(out).unwrap(), lines)
    }

    #[test]
    fn lines_are_bounded_however_they_come() {
        let text = "abc\n\nabcdefghij\nabcd\nabcdefgh";
        for step in 1..=text.len() {
            assert_eq!(("abc\n\nabcd\nabcd\nabcd".into(), 4), shaped(4, false, step, text), "{step}");
            assert_eq!(("abc\n\nabcd\nefgh\nij\nabcd\nabcd\nefgh".into(), 4), shaped(4, true, step, text), "{step}");
        }
    }
}
