//! How far one partition is behind and how fast it goes: pure, looked at about every second.

use std::time::{Duration, Instant};

/// A rate is over at least this long, and less than twice as long.
const SPAN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Behind {
    /// Where the partition's log ends, as far as is known.
    pub(super) end: Option<i64>,
    /// Offsets that are not finished.
    pub(super) records: u64,
    /// Age of the oldest record that is not finished; 0 where there is none.
    pub(super) seconds: u64,
    /// Records finished per second.
    pub(super) rate: u64,
    /// Since when there is something to read of which nothing was taken.
    unread_since: Option<Instant>,
    /// When how many were finished; the rate is counted from the first.
    marks: [(Instant, u64); 2],
    finished: u64,
}

/// A partition at the moment of a look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Instant,
    /// Seconds since 1970.
    pub(super) wall: i64,
    /// Everything below is finished.
    pub(super) position: Option<i64>,
    pub(super) end: Option<i64>,
    /// When the oldest record was written that is taken and not finished, and the one taken last: in seconds since 1970, 0 where
    /// it does not say.
    pub(super) oldest: Option<u32>,
    pub(super) newest: u32,
    /// Records finished in all.
    pub(super) finished: u64,
}

impl Behind {
    pub(super) fn new(now: Instant, finished: u64) -> Self {
        let marks = [(now, finished); 2];
        Self { end: None, records: 0, seconds: 0, rate: 0, unread_since: None, marks, finished }
    }

    pub(super) fn look(&mut self, moment: Moment) {
        let Moment { now, wall, position, end, oldest, newest, finished } = moment;
        self.end = end;
        let behind = end.zip(position).map_or(0, |(end, position)| end.saturating_sub(position).max(0));
        self.records = behind.unsigned_abs();
        let moves = finished > self.finished;
        self.finished = finished;
        let age = |second: u32| wall.saturating_sub(second.into()).max(0).unsigned_abs();
        self.seconds = match oldest {
            Some(second) if second > 0 => {
                self.unread_since = None;
                age(second)
            }
            None if self.records == 0 => {
                self.unread_since = None;
                0
            }
            // Between two batches of many: what comes next is about as old as what was taken last.
            None if moves && newest > 0 => {
                self.unread_since = None;
                age(newest)
            }
            _ => now.duration_since(*self.unread_since.get_or_insert(now)).as_secs(),
        };
        let [from, mark] = self.marks;
        if now.duration_since(mark.0) >= SPAN {
            self.marks = [mark, (now, finished)];
        }
        let span = now.duration_since(from.0).as_secs_f64();
        let done = finished.saturating_sub(from.1);
        self.rate = if span > 0.5 { (done as f64 / span).round() as u64 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const WALL: i64 = 1_795_245_407;

    fn at(now: Instant, position: i64, end: i64) -> Moment {
        let finished = position.unsigned_abs();
        Moment { now, wall: WALL, position: Some(position), end: Some(end), oldest: None, newest: 0, finished }
    }

    fn written(seconds_ago: u32) -> u32 {
        u32::try_from(WALL).unwrap() - seconds_ago
    }

    #[test]
    fn the_oldest_record_counts_and_nothing_when_caught_up() {
        let start = clock::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut behind = Behind::new(start, 0);
        behind.look(Moment { end: None, ..at(start, 0, 0) });
        assert_eq!((behind.end, behind.records, behind.seconds), (None, 0, 0));
        behind.look(Moment { oldest: Some(written(7)), newest: written(2), ..at(start, 10, 15) });
        assert_eq!((behind.records, behind.seconds), (5, 7));
        // A producer's clock may be ahead.
        behind.look(Moment { oldest: Some(u32::MAX), ..at(start, 10, 15) });
        assert_eq!(behind.seconds, 0);
        behind.look(at(later(1), 15, 15));
        assert_eq!((behind.records, behind.seconds), (0, 0));
        // What was not read yet counts from when it was seen: how old it is shows once it is read.
        behind.look(Moment { newest: written(9999), ..at(later(60), 15, 18) });
        assert_eq!((behind.records, behind.seconds), (3, 0));
        behind.look(Moment { newest: written(9999), ..at(later(64), 15, 18) });
        assert_eq!((behind.records, behind.seconds), (3, 4));
        // In the midst of many the last one tells.
        behind.look(Moment { newest: written(500), ..at(later(65), 17, 18) });
        assert_eq!((behind.records, behind.seconds), (1, 500));
        // Without a timestamp it is as if unread.
        behind.look(Moment { oldest: Some(0), ..at(later(70), 17, 18) });
        behind.look(Moment { oldest: Some(0), ..at(later(73), 17, 18) });
        assert_eq!(behind.seconds, 3);
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let start = clock::now();
        let mut behind = Behind::new(start, 1000);
        behind.look(Moment { finished: 1000, ..at(start, 0, 0) });
        assert_eq!(behind.rate, 0);
        for second in 1..=30 {
            behind.look(Moment { finished: 1000 + 40 * second, ..at(start + Duration::from_secs(second), 0, 0) });
            assert_eq!(behind.rate, 40);
        }
        for second in 31..=41 {
            behind.look(Moment { finished: 2200, ..at(start + Duration::from_secs(second), 0, 0) });
        }
        assert_eq!(behind.rate, 0, "what was long ago counts no more");
    }
}
