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

#[test]
fn a_refused_input_stands_alone_and_goes_on_by_itself() {
    let mut rig = Rig::with(|c| {
        let mut denied = c.inputs[0].clone();
        let dir = c.state_dir.parent().unwrap().join("denied");
        fs::create_dir_all(&dir).unwrap();
        (denied.name, denied.topic) = ("denied".into(), "secret".into());
        denied.include = vec![format!("{}/*.log", dir.display())];
        c.inputs.push(denied);
    });
    rig.acknowledge = false;
    let denied = rig.dir.path().join("denied");
    (0..20).for_each(|n| fs::write(denied.join(format!("{n}.log")), numbered("x", 0..5)).unwrap());
    rig.append("app.log", numbered("a", 0..10));
    rig.settle();
    let answer = |rig: &Rig, accept: bool| {
        while rig.topic.under_way() > 0 {
            let sent = rig.topic.0.borrow().sent.len();
            let topic = rig.topic.0.borrow().sent[sent - rig.topic.under_way()].topic.clone();
            let refused = Outcome::Refused(rdkafka::types::RDKafkaErrorCode::TopicAuthorizationFailed);
            let outcome = if accept || topic == "logs" { Outcome::Acknowledged } else { refused };
            rig.topic.report(0, outcome);
        }
    };
    answer(&rig, false);
    rig.steps(2);
    let standing = || "kafka refuses the records of input denied: ";
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
