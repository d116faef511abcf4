//! Spools: their segments are one stream, and stay until all of them is acknowledged.

use logmill_config::agent::Source;

use super::*;
use crate::{feed::Spool, ledger::Reason};

const SPOOL: &str = "state/spool/app";

impl Rig {
    /// An agent with one input whose spool holds these segments already.
    fn fed(source: Source, segments: &[&str]) -> (Self, Arc<Spool>) {
        let mut rig = Self::new();
        let dir = rig.dir.path().join(SPOOL);
        fs::create_dir_all(&dir).unwrap();
        for (n, text) in segments.iter().enumerate() {
            fs::write(dir.join(format!("{n:020}.log")), text).unwrap();
        }
        let gauge = prometheus::IntGauge::new("bytes", "bytes").unwrap();
        let spool = Spool::open(Arc::new(RealDisk), dir, 1 << 20, Waker::new().unwrap(), gauge).unwrap();
        rig.config.inputs[0].source = source;
        rig.config.inputs[0].include = vec![spool.glob()];
        rig.spools.insert("app".into(), Arc::clone(&spool));
        (rig, spool)
    }

    fn segments(&self) -> usize {
        fs::read_dir(self.dir.path().join(SPOOL)).unwrap().count()
    }
}

#[test]
fn a_segment_is_removed_once_all_of_it_is_acknowledged() {
    let (mut rig, spool) = Rig::fed(Source::Stdin { spool_bytes: 1 << 20 }, &["a\nb\n", "c\n", "d"]);
    rig.acknowledge = false;
    rig.settle();
    assert_eq!(["a", "b", "c", "d"], *rig.messages(), "in order, with the line that a kill cut short");
    rig.topic.report(2, Outcome::Acknowledged);
    rig.topic.report(0, Outcome::Acknowledged);
    rig.settle();
    assert_eq!((2, 6), (rig.segments(), spool.held()), "the one with b and d's are needed");
    rig.kill();
    rig.acknowledge = true;
    rig.settle();
    assert_eq!((0, 0), (rig.segments(), spool.held()));
    assert_eq!(["a", "b", "c", "d"], *rig.distinct());
    let (read, ledger) = rig.ledger();
    assert_eq!((4, 4), (read, ledger.acknowledged));
    assert_eq!(0, rig.engine.as_ref().unwrap().slots.len());
    let sent = rig.topic.0.borrow().sent.len();
    rig.kill();
    rig.settle();
    assert_eq!(sent, rig.topic.0.borrow().sent.len(), "what is gone was acknowledged");
    let records = rig.topic.0.borrow().sent.clone();
    assert!(records.iter().all(|record| record.key.as_deref() == Some(b"app")), "the key is the input's name");
}

#[test]
fn equal_lines_have_ids_of_their_own_and_keep_them() {
    let (mut rig, _) = Rig::fed(Source::Stdin { spool_bytes: 1 << 20 }, &["a\na\n", "a\n"]);
    rig.acknowledge = false;
    rig.settle();
    rig.kill();
    rig.acknowledge = true;
    rig.settle();
    assert_eq!(6, rig.messages().len());
    assert_eq!(["a", "a", "a"], *rig.distinct());
}

#[test]
fn an_entry_that_was_read_twice_has_one_id() {
    let source = Source::Journal { units: vec![], priority: None, spool_bytes: 1 << 20 };
    let entry = |n: u32| format!("{{\"__CURSOR\":\"i={n}\",\"__REALTIME_TIMESTAMP\":\"{n}\",\"MESSAGE\":\"m{n}\"}}\n");
    let first = format!("{}{}{{\"__CURSOR\":\"i=3\",\"MESS", entry(1), entry(2));
    let second = format!("{}{}{{\"__LOGMILL_TOO_LONG\":\"1\"}}\n", entry(2), entry(3));
    let (mut rig, _) = Rig::fed(source, &[&first, &second]);
    rig.settle();
    assert_eq!(["m1", "m2", "m2", "m3"], *rig.messages());
    let sent = rig.topic.0.borrow().sent.clone();
    assert_eq!((sent[1].id, &sent[1].value), (sent[2].id, &sent[2].value));
    assert_eq!(3, sent.iter().map(|record| record.id).collect::<HashSet<_>>().len());
    let (read, ledger) = rig.ledger();
    assert_eq!(
        (5, 4, 1),
        (read, ledger.acknowledged, ledger.dropped[Reason::LongLine as usize]),
        "what was torn counts as nothing"
    );
    assert_eq!(0, rig.segments());
    assert!(rig.records()[0].get("log").is_none(), "no place in a file: {}", rig.records()[0]);
}

#[test]
fn a_spool_is_one_line_of_the_status() {
    let (mut rig, _) = Rig::fed(Source::Stdin { spool_bytes: 1 << 20 }, &["a\nb\n", "c\n"]);
    rig.acknowledge = false;
    rig.settle();
    rig.topic.report(0, Outcome::Acknowledged);
    rig.step();
    let status = rig.engine.as_ref().unwrap().status_of_spool(0, rig.now).unwrap();
    assert_eq!(("stdin", 6, 2, 4), (status.path.as_str(), status.size, status.acknowledged, status.lag()));
    assert!(status.state.ends_with("waits for acknowledgements"), "{}", status.state);
}
