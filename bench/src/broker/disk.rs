//! What the disk itself can do: the bound of every ack that means on disk.

use std::{fs::File, os::unix::fs::FileExt};

use anyhow::Result;
use hdrhistogram::Histogram;
use logmill_e2e::clock;

pub struct Disk {
    pub sequential_mb_per_second: f64,
    /// Microseconds of a synced write of 4 KiB.
    pub small: Histogram<u64>,
}

impl Disk {
    /// Where temporary files are, as the brokers' data are.
    pub fn measure() -> Result<Self> {
        const BLOCK: usize = 4 << 20;
        const BLOCKS: u64 = 256;
        let file = tempfile::tempfile()?;
        let begin = clock::now();
        write_synced(&file, &vec![0x5a; BLOCK], BLOCKS, |_| Ok(()))?;
        let sequential_mb_per_second = (BLOCK as u64 * BLOCKS) as f64 / 1e6 / begin.elapsed().as_secs_f64();
        let mut small = Histogram::<u64>::new(3)?;
        let file = tempfile::tempfile()?;
        write_synced(&file, &[0x5a; 4096], 2000, |micros| Ok(small.record(micros)?))?;
        Ok(Self { sequential_mb_per_second, small })
    }
}

fn write_synced(file: &File, block: &[u8], count: u64, mut each: impl FnMut(u64) -> Result<()>) -> Result<()> {
    for i in 0..count {
        let begin = clock::now();
        file.write_all_at(block, i * block.len() as u64)?;
        file.sync_data()?;
        each(u64::try_from(begin.elapsed().as_micros())?)?;
    }
    Ok(())
}

/// So that a run does not pay for what the one before left to be written.
pub fn sync() {
    rustix::fs::sync();
}
