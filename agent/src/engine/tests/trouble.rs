//! Kafka away, refusing, broken: lines wait in their files.

use super::*;

#[test]
fn a_full_queue_stops_reading_and_drops_nothing() {
    let mut rig = Rig::new();
    rig.topic.0.borrow_mut().room = 7;
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..100));
    rig.steps(100);
    assert_eq!(7, rig.messages().len());
    rig.acknowledge = true;
    rig.settle();
    assert_eq!(names("a", 0..100), rig.messages());
}

#[test]
fn the_byte_budget_bounds_what_is_under_way() {
    let mut rig = Rig::with(|c| c.buffer_bytes = 100_000);
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..10_000));
    rig.steps(100);
    let under_way = rig.topic.under_way();
    assert!((50..300).contains(&under_way), "{under_way}");
    rig.acknowledge = true;
    rig.settle();
    assert_eq!(10_000, rig.messages().len());
}

#[test]
fn a_failed_delivery_is_read_again() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..10));
    rig.append("other.log", numbered("b", 0..10));
    rig.settle();
    rig.topic.report(3, Outcome::Failed);
    rig.topic.report_all(Outcome::Acknowledged);
    rig.acknowledge = true;
    rig.settle();
    rig.pass(Duration::from_secs(1));
    rig.settle();
    let mut distinct = rig.distinct();
    distinct.sort();
    assert_eq!([names("a", 0..10), names("b", 0..10)].concat(), distinct);
    assert_eq!(20 + 7, rig.messages().len(), "the failed one and those after it in its file");
    let (read, ledger) = rig.ledger();
    assert_eq!((20, 20), (read, ledger.acknowledged), "no line counts twice");
}

#[test]
fn an_unknown_topic_for_a_long_time_loses_nothing() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..10));
    for _ in 0..10 {
        rig.settle();
        rig.topic.report_all(Outcome::Failed);
        rig.pass(Duration::from_secs(40));
    }
    rig.acknowledge = true;
    rig.settle();
    rig.pass(Duration::from_secs(40));
    rig.settle();
    assert_eq!(names("a", 0..10), rig.distinct());
    assert_eq!((10, 10), (rig.ledger().0, rig.ledger().1.acknowledged));
}

#[test]
fn a_broken_producer_is_replaced_and_all_is_read_again() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..10));
    rig.settle();
    rig.topic.report(0, Outcome::Acknowledged);
    rig.topic.0.borrow_mut().broken = true;
    rig.steps(2);
    rig.pass(Duration::from_secs(1));
    rig.acknowledge = true;
    rig.settle();
    assert_eq!(1, rig.topic.0.borrow().renewed);
    assert_eq!(names("a", 0..10), rig.distinct());
    assert_eq!((10, 10), (rig.ledger().0, rig.ledger().1.acknowledged));
}

#[test]
fn batches_the_broker_finds_too_large_become_smaller() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..10));
    rig.settle();
    rig.topic.report_all(Outcome::TooLarge);
    rig.step();
    rig.pass(Duration::from_secs(1));
    rig.acknowledge = true;
    rig.settle();
    assert_eq!(500_000, rig.topic.0.borrow().max_record);
    assert_eq!(names("a", 0..10), rig.distinct());
}
