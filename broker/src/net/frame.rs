//! Reading frames: memory grows as bytes arrive and counts against the broker's budget, whatever length a peer claims.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf, BufMut, BytesMut};
use logmill_protocol::framing::{self, FrameError, LENGTH_BYTES};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::Semaphore,
    time::timeout,
};

use crate::{api::request::Memory, metrics::InFlight};

/// Frames up to this many bytes are read without asking the budget: connections are bounded, too.
const FREE_BYTES: usize = 16 << 10;
/// What is reserved at once for a larger frame; beyond, the buffer doubles as bytes arrive.
const FIRST_RESERVE: usize = 1 << 20;
/// A frame that has begun must go on within this time, so that nobody holds memory by sending nothing.
const STALLED: Duration = Duration::from_secs(30);
/// The budget counts in units of this many bytes.
const UNIT: usize = 1 << 10;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFailure {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("reading: {0}")]
    Io(#[from] io::Error),
    #[error("no request for {0:?}")]
    Idle(Duration),
    #[error("a request stopped arriving in the middle")]
    Stalled,
}

impl ReadFailure {
    /// For the metric; `None` for what is nobody's fault.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Frame(_) => Some("frame"),
            Self::Io(_) => None,
            Self::Idle(_) => Some("idle"),
            Self::Stalled => Some("stalled"),
        }
    }
}

/// Bytes of request frames that all connections together may hold.
#[derive(Clone)]
pub(crate) struct MemoryBudget {
    units: Arc<Semaphore>,
    total: u32,
    metrics: InFlight,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: u64, metrics: InFlight) -> Self {
        let total = u32::try_from(bytes / UNIT as u64).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4);
        Self { units: Arc::new(Semaphore::new(total as usize)), total, metrics }
    }

    /// Waits for room. A frame larger than all of it waits until it is alone.
    async fn take(&self, bytes: usize) -> Option<Memory> {
        let count = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.total);
        let units = match self.units.clone().try_acquire_many_owned(count) {
            Ok(units) => units,
            Err(_) => {
                self.metrics.waits.inc();
                self.units.clone().acquire_many_owned(count).await.ok()?
            }
        };
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.bytes.add(bytes);
        Some(Memory { _units: units, bytes, metrics: self.metrics.clone() })
    }
}

pub(crate) struct FrameReader<R> {
    input: R,
    buffer: BytesMut,
    max_frame: usize,
    budget: MemoryBudget,
    idle: Duration,
    stalled: Duration,
}

/// A frame's bytes after the length, and its share of the budget.
pub(crate) type Frame = (BytesMut, Option<Memory>);

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(input: R, max_frame: usize, budget: MemoryBudget, idle: Duration) -> Self {
        Self { input, buffer: BytesMut::new(), max_frame, budget, idle, stalled: STALLED }
    }

    /// The next frame; `None` when the peer closed between frames.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, ReadFailure> {
        while self.buffer.len() < LENGTH_BYTES {
            let empty = self.buffer.is_empty();
            let wait = if empty { self.idle } else { self.stalled };
            // An idle connection holds next to nothing.
            self.buffer.reserve(if empty { 4 << 10 } else { 64 });
            match timeout(wait, self.input.read_buf(&mut self.buffer)).await {
                Err(_) if empty => return Err(ReadFailure::Idle(self.idle)),
                Err(_) => return Err(ReadFailure::Stalled),
                Ok(Ok(0)) if empty => return Ok(None),
                Ok(Ok(0)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(read) => read?,
            };
        }
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let len = framing::frame_len(*length, self.max_frame)?;
        self.buffer.advance(LENGTH_BYTES);
        let memory = if len > FREE_BYTES { self.budget.take(len).await } else { None };
        let mut frame = if self.buffer.len() >= len { self.buffer.split_to(len) } else { self.buffer.split() };
        if frame.len() < len {
            frame.reserve(len.min(FIRST_RESERVE).saturating_sub(frame.len()));
        }
        while frame.len() < len {
            let missing = len - frame.len();
            if frame.capacity() == frame.len() {
                frame.reserve(missing.min(frame.len().max(4 << 10)));
            }
            let mut limited = (&mut frame).limit(missing);
            match timeout(self.stalled, self.input.read_buf(&mut limited)).await {
                Err(_) => return Err(ReadFailure::Stalled),
                Ok(Ok(0)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(read) => read?,
            };
        }
        Ok(Some((frame, memory)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn reader<R: AsyncRead + Unpin>(input: R) -> FrameReader<R> {
        FrameReader::new(input, 1 << 30, MemoryBudget::new(64 << 20, InFlight::default()), Duration::from_secs(5))
    }

    #[tokio::test]
    async fn frames_of_all_sizes_come_whole_and_in_order() {
        let sizes = [1usize, 5, 4095, 4096, 20_000, 16 << 10, 3 << 20, 2];
        let (mut near, far) = tokio::io::duplex(7000);
        let writing = tokio::spawn(async move {
            for (i, size) in sizes.into_iter().enumerate() {
                near.write_all(&(size as u32).to_be_bytes()).await.unwrap();
                near.write_all(&vec![i as u8; size]).await.unwrap();
            }
        });
        let mut reader = reader(far);
        for (i, size) in sizes.into_iter().enumerate() {
            let (frame, memory) = reader.next().await.unwrap().unwrap();
            assert_eq!(frame.len(), size);
            assert!(frame.iter().all(|b| *b == i as u8));
            assert_eq!(memory.is_some(), size > FREE_BYTES);
        }
        assert!(reader.next().await.unwrap().is_none());
        writing.await.unwrap();
    }

    #[tokio::test]
    async fn a_claimed_length_reserves_little() {
        let mut input = (1u32 << 29).to_be_bytes().to_vec();
        input.extend_from_slice(&[0; 100]);
        assert!(matches!(reader(&input[..]).next().await, Err(ReadFailure::Io(_))));
        for bad in [[0xff; 4], [0; 4], [0x7f, 0xff, 0xff, 0xff]] {
            assert!(matches!(reader(&bad[..]).next().await, Err(ReadFailure::Frame(_))));
        }
        assert!(matches!(reader(&[0u8, 0][..]).next().await, Err(ReadFailure::Io(_))));
    }

    #[tokio::test]
    async fn a_large_frame_waits_for_its_share() {
        let metrics = InFlight::default();
        let budget = MemoryBudget::new(100 << 10, metrics.clone());
        let frame: Vec<u8> = [&(60u32 << 10).to_be_bytes()[..], &vec![7; 60 << 10]].concat();
        let mut first = FrameReader::new(&frame[..], 1 << 20, budget.clone(), Duration::from_secs(5));
        let mut second = FrameReader::new(&frame[..], 1 << 20, budget, Duration::from_secs(5));
        let held = first.next().await.unwrap().unwrap();
        let waiting = timeout(Duration::from_millis(20), second.next()).await;
        assert!(waiting.is_err(), "read without room in the budget");
        assert_eq!((metrics.bytes.get(), metrics.waits.get()), (60 << 10, 1));
        drop(held);
        assert_eq!(metrics.bytes.get(), 0);
        // Its length was consumed, so it begins anew.
        let mut second = FrameReader::new(&frame[..], 1 << 20, second.budget.clone(), Duration::from_secs(5));
        assert!(second.next().await.unwrap().is_some());
    }

    #[tokio::test]
    async fn silence_ends_a_connection() {
        let (mut near, far) = tokio::io::duplex(100);
        let mut reader = reader(far);
        (reader.idle, reader.stalled) = (Duration::from_millis(10), Duration::from_millis(10));
        assert!(matches!(reader.next().await, Err(ReadFailure::Idle(_))));
        near.write_all(&[0, 0]).await.unwrap();
        assert!(matches!(reader.next().await, Err(ReadFailure::Stalled)));
    }
}
