//! The promises of the tracker, over every interleaving proptest can think of.

use proptest::prelude::*;

use super::*;

const ALL: [Finish; 4] = [Finish::Indexed, Finish::Duplicate, Finish::Filtered, Finish::DeadLettered];

#[test]
fn a_later_success_never_commits_past_an_earlier_failure() {
    let mut tracker = Tracker::new(Some(10), Ledger::default());
    for offset in 10..14 {
        let second = 1_795_245_407 + (offset - 10);
        tracker.take(offset, second * 1000 + 999, || None).unwrap();
    }
    for offset in [11, 12, 13] {
        tracker.finish(offset, Finish::Indexed);
    }
    assert_eq!(tracker.committable(), (Some(10), Ledger::default()));
    assert_eq!(tracker.unfinished(), 1);
    assert_eq!((tracker.oldest(), tracker.newest()), (Some(1_795_245_407), 1_795_245_410));
    tracker.finish(10, Finish::DeadLettered);
    let (position, ledger) = tracker.committable();
    assert_eq!((position, tracker.oldest()), (Some(14), None));
    assert_eq!((ledger.indexed, ledger.dead_lettered, ledger.records), (3, 1, 4));
}

#[test]
fn gaps_by_retention_are_expired_and_others_are_not() {
    let mut tracker = Tracker::new(Some(100), Ledger::default());
    assert_eq!(tracker.take(150, -1, || Some(140)), Ok(40), "140..150 never were: compaction, markers");
    assert_eq!(tracker.take(160, -1, || Some(140)), Ok(0));
    assert_eq!(tracker.take(170, i64::MAX, || None), Ok(0));
    assert_eq!(tracker.take(160, -1, || None), Err(Refused::Again));
    for offset in [150, 160, 170] {
        tracker.finish(offset, Finish::Indexed);
    }
    let (position, ledger) = tracker.committable();
    assert_eq!((position, ledger.expired, ledger.records), (Some(171), 40, 43));
    assert!(ledger.adds_up());
}

#[test]
fn outcomes_of_unknown_offsets_and_second_outcomes_change_nothing() {
    let mut tracker = Tracker::new(None, Ledger::default());
    tracker.take(0, 0, || None).unwrap();
    tracker.take(1, 0, || None).unwrap();
    tracker.finish(1, Finish::Indexed);
    tracker.finish(1, Finish::Duplicate);
    tracker.finish(7, Finish::Indexed);
    tracker.finish(0, Finish::Indexed);
    tracker.finish(0, Finish::Indexed);
    let (position, ledger) = tracker.committable();
    assert_eq!((position, ledger.indexed, ledger.duplicate), (Some(2), 2, 0));
}

#[test]
fn metadata_survives_and_foreign_metadata_is_refused() {
    let ledger = Ledger { records: 15, indexed: 1, duplicate: 2, filtered: 3, dead_lettered: 4, expired: 5 };
    assert_eq!(Ledger::from_metadata(ledger.to_metadata().as_bytes()), Some(ledger));
    let n = u64::MAX;
    let most = Ledger { records: n, indexed: n, duplicate: n, filtered: n, dead_lettered: n, expired: n };
    assert!(most.to_metadata().len() <= 4096);
    let foreign: [&[u8]; 6] = [
        b"",
        b"logmill2 1 1 0 0 0 0",
        b"logmill1 1 1",
        b"logmill1 2 1 0 0 0 0",
        b"logmill1 1 1 0 0 0 0 9",
        b"\xff\xfe",
    ];
    for metadata in foreign {
        assert_eq!(Ledger::from_metadata(metadata), None);
    }
}

proptest! {
    /// Any order of taking and finishing, with gaps and expiry, with a restart at any point.
    #[test]
    fn commits_never_pass_an_unfinished_record_and_counts_add_up(
        gaps in prop::collection::vec((0i64..4, 0i64..3), 1..60),
        order in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4), 0..120),
        start in 0i64..1000,
    ) {
        let mut tracker = Tracker::new(Some(start), Ledger::default());
        let mut open: Vec<i64> = Vec::new();
        let (mut taken, mut expired, mut finished) = (0u64, 0u64, Vec::new());
        let mut offset = start;
        let mut steps = gaps.into_iter();
        for (pick, how) in order {
            if let Some((gap, gone)) = steps.next() {
                let next = tracker.next().unwrap();
                offset = next + gap;
                let log_start = next + gone;
                let lost = tracker.take(offset, 0, || Some(log_start)).unwrap();
                prop_assert_eq!(lost, u64::try_from(gone.min(gap)).unwrap());
                expired += lost;
                taken += 1;
                open.push(offset);
            }
            if !open.is_empty() && how != 3 {
                let done = open.swap_remove(pick.index(open.len()));
                tracker.finish(done, ALL[how]);
                finished.push(done);
            }
            let (position, ledger) = tracker.committable();
            let position = position.unwrap();
            let barrier = open.iter().min().copied().unwrap_or(offset + 1);
            prop_assert_eq!(position <= barrier, true);
            prop_assert!(ledger.adds_up());
            let below = finished.iter().filter(|o| **o < position).count() as u64;
            prop_assert_eq!(ledger.records - ledger.expired, below);
            prop_assert!(finished.iter().all(|o| *o < position || open.iter().any(|u| u < o)), "the prefix is as long as it can be");
            prop_assert_eq!(tracker.unfinished(), open.len());
        }
        for done in open.drain(..) {
            tracker.finish(done, Finish::Duplicate);
        }
        let (_, ledger) = tracker.committable();
        prop_assert_eq!((ledger.records, ledger.expired), (taken + expired, expired));
        prop_assert!(ledger.adds_up());
    }
}
