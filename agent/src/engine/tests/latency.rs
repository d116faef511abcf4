//! A line that comes alone is sent at once; of a stream, requests and syncs are few.

use super::*;

fn hurried(rig: &Rig) -> Vec<usize> {
    rig.topic.0.borrow().hurried.clone()
}

#[test]
fn a_lone_line_does_not_linger() {
    let mut rig = Rig::new();
    rig.append("app.log", "one\n");
    rig.settle();
    assert_eq!([1], *hurried(&rig), "as soon as it is sent, and not again while nothing comes");
    rig.append("app.log", "two\n");
    rig.catch_up();
    rig.step();
    assert_eq!([1, 2], *hurried(&rig), "in the turn that sees it");
}

#[test]
fn a_stream_lingers_to_be_sent_in_large_requests() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..10_000));
    rig.steps(20);
    assert_eq!(10_000, rig.messages().len());
    assert!(hurried(&rig).is_empty(), "more is under way than lone lines are");
    rig.acknowledge = true;
    rig.settle();
    rig.append("app.log", "last\n");
    rig.settle();
    assert_eq!([10_001], *hurried(&rig));
}
