//! What the disk itself can do: the bound of every ack that means on disk.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use anyhow::Result;
use hdrhistogram::Histogram;
use logmill_e2e::clock;
use rustix::fs::{Advice, fadvise};

pub struct Disk {
    pub sequential_mb_per_second: f64,
    /// Microseconds of a synced write of 4 KiB.
    pub small: Histogram<u64>,
}

impl Disk {
    /// Where temporary files are, as the brokers' data are.
    pub fn measure() -> Result<Self> {
        const BLOCK: usize = 4 << 20;
        const BLOCKS: u64 = 128;
        let mut sequential_mb_per_second = 0.0;
        // The first time it may be the memory that is measured (see `settle`).
        for _ in 0..3 {
            let file = tempfile::tempfile()?;
            let begin = clock::now();
            write_synced(&file, &vec![0x5a; BLOCK], BLOCKS, |_| Ok(()))?;
            let rate = (BLOCK as u64 * BLOCKS) as f64 / 1e6 / begin.elapsed().as_secs_f64();
            sequential_mb_per_second = rate.max(sequential_mb_per_second);
        }
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

/// So that a run does not pay for what the ones before left: it is written, and what the page cache holds of the files in `dir` goes. The run then has that
/// memory. Other memory of a virtual machine the host may first have to give, page by page, which takes several times as long as to fill it.
pub fn settle(dir: &Path) {
    rustix::fs::sync();
    forget(dir);
}

/// What the broker removes meanwhile is left out.
fn forget(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            forget(&path);
        } else if let Ok(file) = File::open(&path) {
            let _ = fadvise(&file, 0, None, Advice::DontNeed);
        }
    }
}
