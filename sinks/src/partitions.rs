//! The partitions a sink owns now, each under an assignment number of its own: an outcome for an assignment that is over
//! finds nothing and changes nothing.

mod behind;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use parking_lot::Mutex;
use prometheus::IntGauge;

use self::behind::{Behind, Moment};
use crate::{
    clock,
    ledger::{Finish, Ledger, OUTCOMES},
    metrics::Metrics,
    track::Tracker,
};

/// Shared by the reader (assigns, takes, commits) and the dispatcher (finishes).
pub(crate) struct Partitions {
    sink: String,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_assignment: u32,
    owned: BTreeMap<u32, Owned>,
    /// What of each partition's ledger the process's counters hold already.
    counted: HashMap<(Arc<str>, i32), Ledger>,
}

/// The ledgers that a process's counters hold.
#[derive(Clone, Default)]
pub(crate) struct Counted(HashMap<(Arc<str>, i32), Ledger>);

struct Owned {
    topic: Arc<str>,
    partition: i32,
    tracker: Tracker,
    committed: Option<i64>,
    gauges: Vec<IntGauge>,
    taking: bool,
    behind: Behind,
}

/// An offset to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) assignment: u32,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// What was committed before.
    pub(crate) before: Option<i64>,
    pub(crate) ledger: Ledger,
}

impl Commit {
    /// Offsets this commit moves on.
    pub(crate) fn moved(&self) -> i64 {
        self.offset.saturating_sub(self.before.unwrap_or(0))
    }
}

/// What taking a record came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes {
        expired: u64,
    },
    /// Being given up: not ours to process.
    No,
    /// Below what was read already: see [`Partitions::rewind`].
    Rewound,
}

impl Partitions {
    pub(crate) fn new(sink: &str, metrics: Metrics, Counted(counted): Counted) -> Self {
        Self { sink: sink.to_owned(), metrics, state: Mutex::new(State { counted, ..State::default() }) }
    }

    /// Starts an assignment where it was `committed` with the counts of then, else at `start`; returns its number. A start
    /// that is known is committed before anything is read, so that it stays where it is.
    pub(crate) fn assign(
        &self,
        topic: &str,
        partition: i32,
        committed: Option<i64>,
        start: Option<i64>,
        ledger: Ledger,
    ) -> u32 {
        let mut state = self.state.lock();
        self.assign_locked(&mut state, Arc::from(topic), partition, committed.or(start), committed, ledger)
    }

    fn assign_locked(
        &self,
        state: &mut State,
        topic: Arc<str>,
        partition: i32,
        position: Option<i64>,
        committed: Option<i64>,
        ledger: Ledger,
    ) -> u32 {
        state.last_assignment = state.last_assignment.wrapping_add(1);
        let number = state.last_assignment;
        let partition_text = partition.to_string();
        let gauges = OUTCOMES
            .iter()
            .map(|outcome| {
                self.metrics.ledger.with_label_values(&[self.sink.as_str(), topic.as_ref(), &partition_text, outcome])
            })
            .collect();
        let tracker = Tracker::new(position, ledger);
        let behind = Behind::new(clock::now(), ledger.records);
        let owned = Owned { topic, partition, tracker, committed, gauges, taking: true, behind };
        self.publish(&mut state.counted, &owned, ledger);
        state.owned.insert(number, owned);
        number
    }

    /// Takes the next record of an assignment, written at `timestamp` in ms.
    pub(crate) fn take(
        &self,
        assignment: u32,
        offset: i64,
        timestamp: i64,
        log_start: impl FnOnce() -> Option<i64>,
    ) -> Taken {
        let mut state = self.state.lock();
        match state.owned.get_mut(&assignment) {
            Some(owned) if owned.taking => match owned.tracker.take(offset, timestamp, log_start) {
                Ok(expired) => Taken::Yes { expired },
                Err(_) => Taken::Rewound,
            },
            _ => Taken::No,
        }
    }

    /// Starts anew at `offset`, below what was read: the topic was made anew or its log cut, so that what is under way
    /// no longer counts. The counts go on. Returns the new assignment's number.
    pub(crate) fn rewind(&self, assignment: u32, offset: i64) -> Option<u32> {
        let mut state = self.state.lock();
        let owned = state.owned.remove(&assignment)?;
        let (_, ledger) = owned.tracker.committable();
        Some(self.assign_locked(&mut state, owned.topic, owned.partition, Some(offset), None, ledger))
    }

    /// Ends records of any assignments.
    pub(crate) fn finish(&self, finished: impl Iterator<Item = (u32, i64, Finish)>) {
        let mut state = self.state.lock();
        for (assignment, offset, how) in finished {
            if let Some(owned) = state.owned.get_mut(&assignment) {
                owned.tracker.finish(offset, how);
            }
        }
    }

    /// Counts only what is committed: what is lost with an assignment is done and counted again by whoever owns it next.
    fn publish(&self, counted: &mut HashMap<(Arc<str>, i32), Ledger>, owned: &Owned, ledger: Ledger) {
        let before = counted.insert((owned.topic.clone(), owned.partition), ledger).unwrap_or_default();
        let committed = ledger.records.saturating_sub(before.records);
        self.metrics.committed.with_label_values(&[self.sink.as_str()]).inc_by(committed);
        for (at, outcome) in OUTCOMES.iter().enumerate() {
            let of = |ledger: Ledger| ledger.outcomes().get(at).copied().unwrap_or(0);
            // Less than before only where a tool has reset the group's offsets, and its metadata with them.
            let more = of(ledger).saturating_sub(of(before));
            if more > 0 {
                self.metrics.records.with_label_values(&[self.sink.as_str(), outcome]).inc_by(more);
            }
            if let Some(gauge) = owned.gauges.get(at) {
                gauge.set(i64::try_from(of(ledger)).unwrap_or(i64::MAX));
            }
        }
    }

    /// Every offset that has moved since it was committed last.
    pub(crate) fn to_commit(&self, only: Option<&[u32]>) -> Vec<Commit> {
        let state = self.state.lock();
        state
            .owned
            .iter()
            .filter(|(number, _)| only.is_none_or(|only| only.contains(number)))
            .filter_map(|(number, owned)| {
                let (offset, ledger) = owned.tracker.committable();
                let offset = offset?;
                (Some(offset) > owned.committed).then(|| Commit {
                    assignment: *number,
                    topic: owned.topic.clone(),
                    partition: owned.partition,
                    offset,
                    before: owned.committed,
                    ledger,
                })
            })
            .collect()
    }

    pub(crate) fn committed(&self, commits: &[Commit]) {
        let mut state = self.state.lock();
        let State { owned, counted, .. } = &mut *state;
        for commit in commits {
            if let Some(owned) = owned.get_mut(&commit.assignment) {
                owned.committed = owned.committed.max(Some(commit.offset));
                self.publish(counted, owned, commit.ledger);
            }
        }
    }

    /// Stops taking from these: what is under way may still finish.
    pub(crate) fn stop_taking(&self, assignments: &[u32]) {
        let mut state = self.state.lock();
        for number in assignments {
            if let Some(owned) = state.owned.get_mut(number) {
                owned.taking = false;
            }
        }
    }

    /// Gives these up: what is under way for them no longer counts.
    pub(crate) fn remove(&self, assignments: &[u32]) {
        let mut state = self.state.lock();
        for number in assignments {
            if let Some(owned) = state.owned.remove(number) {
                let partition = owned.partition.to_string();
                for outcome in OUTCOMES {
                    let labels = [self.sink.as_str(), owned.topic.as_ref(), &partition, outcome];
                    let _ = self.metrics.ledger.remove_label_values(&labels);
                }
            }
        }
    }

    /// Records taken from these (or all) and not finished.
    pub(crate) fn unfinished(&self, only: Option<&[u32]>) -> usize {
        let state = self.state.lock();
        state
            .owned
            .iter()
            .filter(|(number, _)| only.is_none_or(|only| only.contains(number)))
            .map(|(_, owned)| owned.tracker.unfinished())
            .sum()
    }

    /// Topic and partition of an assignment that is not over.
    pub(crate) fn origin(&self, assignment: u32) -> Option<(Arc<str>, i32)> {
        self.state.lock().owned.get(&assignment).map(|owned| (owned.topic.clone(), owned.partition))
    }

    /// Whether each of `assignments` is not over.
    pub(crate) fn are_owned(&self, assignments: impl Iterator<Item = u32>) -> Vec<bool> {
        let state = self.state.lock();
        let mut last = None;
        assignments
            .map(|number| match last {
                Some((known, owned)) if known == number => owned,
                _ => {
                    let owned = state.owned.contains_key(&number);
                    last = Some((number, owned));
                    owned
                }
            })
            .collect()
    }

    /// The counts of all partitions owned, up to what is finished of each.
    pub(crate) fn total(&self) -> Ledger {
        let state = self.state.lock();
        state.owned.values().fold(Ledger::default(), |sum, owned| sum.plus(owned.tracker.committable().1))
    }

    /// What the process's counters hold already, for who goes on counting in the same group.
    pub(crate) fn counted(&self) -> Counted {
        Counted(self.state.lock().counted.clone())
    }

    /// Assignment, topic and partition of all.
    pub(crate) fn places(&self) -> Vec<(u32, Arc<str>, i32)> {
        let state = self.state.lock();
        state.owned.iter().map(|(number, owned)| (*number, owned.topic.clone(), owned.partition)).collect()
    }

    /// Sees how far each is behind, by what is known of its log. Gives the sum of the records and the most of the seconds.
    pub(crate) fn look(&self, now: Instant, wall: i64, known: &HashMap<u32, Known>) -> (u64, u64) {
        let mut state = self.state.lock();
        let (mut records, mut seconds) = (0u64, 0);
        for (number, owned) in &mut state.owned {
            let Known { low, high, read } = known.get(number).copied().unwrap_or_default();
            let tracker = &owned.tracker;
            let (position, ledger) = tracker.committable();
            // What was read past the last record held none: markers of transactions, gaps of compaction.
            let read = read.filter(|_| tracker.unfinished() == 0);
            owned.behind.look(Moment {
                now,
                wall,
                position: position.or(low).max(read),
                end: high,
                oldest: tracker.oldest(),
                newest: tracker.newest(),
                finished: ledger.records,
            });
            records = records.saturating_add(owned.behind.records);
            seconds = seconds.max(owned.behind.seconds);
        }
        (records, seconds)
    }

    /// Each partition as of the last look, in order of topic and number.
    pub(crate) fn standing(&self) -> Vec<Standing> {
        let state = self.state.lock();
        let standing = |owned: &Owned| Standing {
            topic: owned.topic.clone(),
            partition: owned.partition,
            committed: owned.committed,
            end: owned.behind.end,
            lag: owned.behind.records,
            lag_seconds: owned.behind.seconds,
            rate: owned.behind.rate,
            in_flight: owned.tracker.unfinished(),
        };
        let mut all: Vec<_> = state.owned.values().map(standing).collect();
        all.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        all
    }
}

/// What is known of a partition's log.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    pub(crate) low: Option<i64>,
    pub(crate) high: Option<i64>,
    /// Where reading goes on.
    pub(crate) read: Option<i64>,
}

/// Where one partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) committed: Option<i64>,
    /// Where its log ends.
    pub(crate) end: Option<i64>,
    /// Offsets not finished.
    pub(crate) lag: u64,
    /// Age of the oldest record not finished; 0 where there is none.
    pub(crate) lag_seconds: u64,
    /// Records finished per second.
    pub(crate) rate: u64,
    /// Records taken and not finished.
    pub(crate) in_flight: usize,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn where_partitions_stand() {
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let partitions = Partitions::new("a", metrics, Counted::default());
        let (start, wall) = (clock::now(), 1_795_245_407);
        let second = partitions.assign("t", 1, None, None, Ledger::default());
        let first = partitions.assign("t", 0, Some(5), None, Ledger::default());
        for offset in 5..8 {
            assert!(matches!(partitions.take(first, offset, (wall - 30) * 1000, || None), Taken::Yes { .. }));
        }
        partitions.finish([(first, 5, Finish::Indexed), (first, 7, Finish::Indexed)].into_iter());
        let known = |low, high, read| Known { low: Some(low), high: Some(high), read: Some(read) };
        // The last offset of the other one is a marker, which was read past.
        let logs = HashMap::from([(first, known(0, 10, 10)), (second, known(90, 91, 91))]);
        assert_eq!(partitions.look(start + Duration::from_secs(1), wall, &logs), (4, 30));
        let standing = partitions.standing();
        let of = |at: usize| {
            let s: &Standing = &standing[at];
            (s.partition, s.committed, s.end, s.lag, s.lag_seconds, s.rate, s.in_flight)
        };
        assert_eq!(of(0), (0, Some(5), Some(10), 4, 30, 1, 1));
        assert_eq!(of(1), (1, None, Some(91), 0, 0, 0, 0));
        // Nothing read yet of the other one: all from its beginning.
        let logs = HashMap::from([(second, Known { read: None, ..known(80, 91, 0) })]);
        assert_eq!(partitions.look(start + Duration::from_secs(2), wall, &logs).0, 11);
    }
}
