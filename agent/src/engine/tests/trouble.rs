//! Kafka away, refusing, broken: lines wait in their files.

use super::*;
use crate::produce::memory::Record;

/// A rig whose second input reads another directory into another topic.
fn with_second_input(topic: &str) -> Rig {
    Rig::with(|c| {
        let dir = c.state_dir.parent().unwrap().join("second");
        fs::create_dir_all(&dir).unwrap();
        let include = vec![format!("{}/*.log", dir.display())];
        c.inputs.push(Input { name: "second".into(), topic: topic.into(), include, ..c.inputs[0].clone() });
    })
}

impl Rig {
    fn append_second(&self, name: &str, text: String) {
        fs::write(self.dir.path().join("second").join(name), text).unwrap();
    }

    /// Reports all that is under way, each record as `outcome` says.
    fn answer(&self, outcome: impl Fn(&Record) -> Outcome) {
        while self.topic.under_way() > 0 {
            let at = self.topic.0.borrow().sent.len() - self.topic.under_way();
            let outcome = outcome(&self.topic.0.borrow().sent[at]);
            self.topic.report(0, outcome);
        }
    }
}

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
    assert_eq!(500_000, rig.topic.0.borrow().max_batch);
    assert_eq!(names("a", 0..10), rig.distinct());
}

#[test]
fn a_topic_of_small_batches_cuts_its_own_records_alone() {
    const MOST: usize = 100_000;
    let mut rig = with_second_input("narrow");
    rig.acknowledge = false;
    let long = "x".repeat(200_000);
    rig.append("app.log", format!("{long}\n"));
    rig.append_second("n.log", format!("{long}\n"));
    for _ in 0..20 {
        rig.settle();
        rig.answer(
            |r| if r.topic == "logs" || r.value.len() < MOST { Outcome::Acknowledged } else { Outcome::TooLarge },
        );
        rig.steps(2);
        rig.pass(Duration::from_secs(1));
    }
    let sent = rig.topic.0.borrow().sent.clone();
    let last = |topic: &str| sent.iter().rfind(|r| r.topic == topic).unwrap().value.len();
    assert!(last("logs") > 200_000, "whole: {}", last("logs"));
    assert!((MOST / 2 - 1000..MOST).contains(&last("narrow")), "as long as it may be: {}", last("narrow"));
    assert!(rig.topic.0.borrow().max_batch < MOST);
    assert_eq!((2, 2), (rig.ledger().0, rig.ledger().1.acknowledged));
}

#[test]
fn a_topic_that_takes_nothing_is_a_refusal_and_no_new_producer_for_ever() {
    let mut rig = with_second_input("narrow");
    rig.acknowledge = false;
    rig.append_second("n.log", numbered("n", 0..10));
    for minute in 0..30 {
        rig.append("app.log", format!("{minute}\n"));
        rig.settle();
        rig.answer(|r| if r.topic == "logs" { Outcome::Acknowledged } else { Outcome::TooLarge });
        rig.steps(2);
        rig.pass(Duration::from_secs(60));
    }
    assert_eq!(8, rig.topic.0.borrow().renewed, "from a million bytes to four thousand");
    assert!(rig.engine.as_ref().unwrap().standing().unwrap().contains("input second"));
    assert_eq!(30, rig.ledger().1.acknowledged, "the other input goes on");
}

#[test]
fn a_refused_input_stands_alone_and_goes_on_by_itself() {
    let mut rig = with_second_input("secret");
    rig.acknowledge = false;
    (0..20).for_each(|n| rig.append_second(&format!("{n}.log"), numbered("x", 0..5)));
    rig.append("app.log", numbered("a", 0..10));
    rig.settle();
    let answer = |rig: &Rig, accept: bool| {
        let refused = Outcome::Refused(rdkafka::types::RDKafkaErrorCode::TopicAuthorizationFailed);
        rig.answer(|r| if accept || r.topic == "logs" { Outcome::Acknowledged } else { refused });
    };
    answer(&rig, false);
    rig.steps(2);
    let standing = || "kafka refuses the records of input second: ";
    assert!(rig.engine.as_ref().unwrap().standing().unwrap().starts_with(standing()));
    for minute in 0..10 {
        let before = rig.topic.0.borrow().sent.len();
        rig.append("app.log", format!("later-{minute}\n"));
        rig.pass(Duration::from_secs(60));
        rig.settle();
        answer(&rig, false);
        rig.steps(2);
        let sent = rig.topic.0.borrow().sent[before..].to_vec();
        let to = |topic: &str| sent.iter().filter(|r| r.topic == topic).count();
        assert_eq!(1, to("logs"), "the other input goes on");
        assert!((1..=5).contains(&to("secret")), "one file asks: {}", to("secret"));
    }
    rig.pass(Duration::from_secs(60));
    rig.settle();
    answer(&rig, true);
    rig.acknowledge = true;
    rig.settle();
    assert_eq!(None, rig.engine.as_ref().unwrap().standing());
    assert_eq!(20 * 5 + 20, rig.distinct().len(), "nothing is lost, no minute has to pass");
    assert_eq!(120, rig.ledger().1.acknowledged);
}

#[test]
fn producers_that_break_at_once_are_renewed_ever_more_rarely() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..10));
    rig.settle();
    for _ in 0..3000 {
        rig.topic.0.borrow_mut().broken = true;
        rig.step();
    }
    let renewed = rig.topic.0.borrow().renewed;
    assert!((5..=8).contains(&renewed), "{renewed} in a minute");
    rig.topic.0.borrow_mut().broken = false;
    rig.acknowledge = true;
    rig.pass(Duration::from_secs(40));
    rig.settle();
    assert_eq!(names("a", 0..10), rig.distinct());
}

#[test]
fn a_full_disk_below_the_checkpoint_is_waited_for() {
    let mut rig = Rig::new();
    let disk = logmill_disk::sim::SimDisk::new();
    disk.create_dir_all(&rig.config.state_dir).unwrap();
    rig.disk = Arc::new(disk.clone());
    rig.append("app.log", numbered("a", 0..10));
    rig.settle();
    disk.set_capacity(Some(0));
    for n in 0..5 {
        rig.append("app.log", numbered("b", n * 10..n * 10 + 10));
        rig.append(&format!("new-{n}.log"), format!("new-{n}\n"));
        rig.settle();
        rig.pass(Duration::from_secs(20));
        rig.settle();
    }
    assert_eq!(names("a", 0..10), rig.messages(), "nothing is read whose place cannot be written down");
    let state = rig.engine.as_ref().unwrap().around.health.parts();
    assert!(format!("{state:?}").contains("no space left"), "{state:?}");
    disk.set_capacity(None);
    rig.settle();
    rig.pass(Duration::from_secs(2));
    rig.settle();
    assert_eq!(10 + 50 + 5, rig.distinct().len());
    assert_eq!(65, rig.messages().len(), "and nothing twice");
    // What was written then is whole.
    rig.kill();
    rig.settle();
    assert_eq!(65, rig.messages().len());
    assert_eq!((65, 65), (rig.ledger().0, rig.ledger().1.acknowledged));
}
