//! Whether a file can be left alone by a scan: what statx says of it is what it said when all of it was read.
//!
//! A write within the granularity of the file system's times may leave no trace in them. So a file rests only once a
//! look found nothing new some time after it first saw these times: any later write shows in them. The file system's
//! clock is compared with nothing but itself, since it may be another machine's. As long as a file does not rest, each
//! look compares its content: also the one after a look that saw a change and could not finish with it.

use std::time::{Duration, Instant};

use crate::identity::Stat;

/// More than the coarsest time stamps in use (FAT: two seconds), and as long as a turn of the reading thread may take.
const GRANULARITY: Duration = Duration::from_secs(3);

/// What changes with every write, truncation or rename. The time of change cannot be set back as that of modification can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    modified: i64,
    changed: i64,
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        let Stat { dev, ino, size, modified, changed, .. } = *stat;
        Self { dev, ino, size, modified, changed }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rest {
    seen: Option<(Stamp, Instant)>,
    rests: bool,
    /// The scan that left it alone last.
    scan: u64,
}

impl Rest {
    /// A look begins at `now`; whether what was read of the file may have been replaced: not while it rests as it was.
    pub(crate) fn look(&mut self, stat: &Stat, now: Instant) -> bool {
        let rested = std::mem::take(&mut self.rests);
        let stamp = Stamp::of(stat);
        let other = self.seen.is_none_or(|(seen, _)| seen != stamp);
        if other {
            self.seen = Some((stamp, now));
        }
        other || !rested
    }

    /// When a look first saw it as it is.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.seen.map(|(_, since)| since)
    }

    /// The look that began at `now` found that all is read and nothing is waited for.
    pub(crate) fn nothing_to_do(&mut self, now: Instant) {
        self.rests = self.seen.is_some_and(|(_, since)| now >= since + GRANULARITY);
    }

    /// A scan sees the file; it is left alone if it is as it was.
    pub(crate) fn scanned(&mut self, stat: &Stat, scan: u64) {
        if self.rests && self.seen.is_some_and(|(seen, _)| seen == Stamp::of(stat)) {
            self.scan = scan;
        }
    }

    pub(crate) fn left_alone_by(&self, scan: u64) -> bool {
        self.rests && self.scan == scan
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::clock::Now;

    fn stat() -> Stat {
        let file = tempfile::NamedTempFile::new().unwrap();
        Stat::of_path(file.path()).unwrap()
    }

    #[test]
    fn a_file_rests_only_after_a_second_look_some_time_later() {
        let (stat, begin) = (stat(), Now::read().mono);
        let mut rest = Rest::default();
        assert!(rest.look(&stat, begin));
        rest.nothing_to_do(begin);
        rest.scanned(&stat, 1);
        assert!(!rest.left_alone_by(1), "a write after the look may have the same times");
        let later = begin + GRANULARITY;
        assert!(rest.look(&stat, later), "and may have replaced what was read");
        rest.nothing_to_do(later);
        rest.scanned(&stat, 2);
        assert!(rest.left_alone_by(2) && !rest.left_alone_by(3), "each scan has to see it");
        assert!(!rest.look(&stat, later), "as it was at rest");
        assert!(rest.look(&stat, later), "nothing said that the look before had finished");
    }

    #[test]
    fn any_change_ends_the_rest() {
        let (stat, begin) = (stat(), Now::read().mono);
        let later = begin + GRANULARITY;
        let others = [
            Stat { size: stat.size + 1, ..stat },
            Stat { modified: stat.modified + 1, ..stat },
            Stat { changed: stat.changed + 1, ..stat },
            Stat { dev: stat.dev + 1, ..stat },
            Stat { ino: stat.ino + 1, ..stat },
        ];
        for other in others {
            let mut rest = Rest::default();
            rest.look(&stat, begin);
            rest.look(&stat, later);
            rest.nothing_to_do(later);
            rest.scanned(&other, 1);
            assert!(!rest.left_alone_by(1), "{other:?}");
            assert!(rest.look(&other, later));
            rest.nothing_to_do(later);
            rest.scanned(&other, 2);
            assert!(!rest.left_alone_by(2), "new times, a new wait: {other:?}");
        }
    }

    #[test]
    fn a_look_that_finds_something_ends_the_rest() {
        let (stat, begin) = (stat(), Now::read().mono);
        let later = begin + GRANULARITY;
        let mut rest = Rest::default();
        rest.look(&stat, begin);
        rest.look(&stat, later);
        rest.nothing_to_do(later);
        rest.look(&stat, later);
        rest.scanned(&stat, 1);
        assert!(!rest.left_alone_by(1));
    }
}
