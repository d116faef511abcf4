//! Files that are compressed when they are rotated: read on where they were left, each line once.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use super::*;

fn compress(rig: &Rig, from: &str, to: &str) {
    let content = fs::read(rig.path(from)).unwrap();
    let out = fs::File::create(rig.path(to)).unwrap();
    match to.rsplit_once('.').unwrap().1 {
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
            encoder.write_all(&content).unwrap();
            encoder.finish().unwrap();
        }
        "zst" => zstd::stream::copy_encode(&content[..], out, 1).unwrap(),
        _ => {
            let mut encoder = bzip2::write::BzEncoder::new(out, bzip2::Compression::fast());
            encoder.write_all(&content).unwrap();
            encoder.finish().unwrap();
        }
    }
    fs::remove_file(rig.path(from)).unwrap();
}

/// Rotates as logrotate does with `compress`: numbers go up, the newest is compressed.
fn rotate(rig: &Rig, ending: &str) {
    for old in (1..9).rev() {
        let name = format!("app.log.{old}.{ending}");
        if rig.path(&name).exists() {
            rig.rename(&name, &format!("app.log.{}.{ending}", old + 1));
        }
    }
    rig.rename("app.log", "app.log.1");
    compress(rig, "app.log.1", &format!("app.log.1.{ending}"));
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn every_compressed(rig: &mut Rig) {
    for _ in 0..3 {
        rig.settle();
        rig.pass(Duration::from_secs(12));
    }
    rig.settle();
}

fn sorted(mut messages: Vec<String>) -> Vec<String> {
    messages.sort();
    messages
}

fn globs() -> [fn(&mut AgentConfig); 2] {
    [|_| (), |c| c.inputs[0].include[0].push('*')]
}

#[test]
fn names_that_are_no_utf_8_are_rotated_as_all_others() {
    for glob in globs() {
        let named = |ending: &[u8]| OsStr::from_bytes(&[b"\xff-\xfe.log", ending].concat()).to_owned();
        let mut rig = Rig::with(glob);
        let (file, rotated) = (rig.path("").join(named(b"")), rig.path("").join(named(b".1")));
        let packed = rig.path("").join(named(b".2.gz"));
        fs::write(&file, numbered("a", 0..100)).unwrap();
        rig.settle();
        rig.kill();
        fs::write(&packed, gzip(&numbered("a", 0..120))).unwrap();
        fs::remove_file(&file).unwrap();
        rig.next_birth();
        fs::write(&rotated, numbered("b", 0..50)).unwrap();
        fs::write(&file, numbered("c", 0..50)).unwrap();
        every_compressed(&mut rig);
        assert_eq!(sorted([names("a", 0..120), names("b", 0..50), names("c", 0..50)].concat()), sorted(rig.messages()));
    }
}

#[test]
fn rotated_and_compressed_while_down() {
    for glob in globs() {
        for ending in ["gz", "zst", "bz2"] {
            let mut rig = Rig::with(glob);
            rig.append("app.log", numbered("a", 0..50));
            rig.settle();
            rig.kill();
            rig.append("app.log", numbered("a", 50..100_000));
            rig.append("app.log", "half");
            rotate(&rig, ending);
            rig.append("app.log", numbered("b", 0..50));
            rotate(&rig, ending);
            rig.append("app.log", numbered("c", 0..50));
            every_compressed(&mut rig);
            let expected = [names("a", 0..100_000), names("b", 0..50), names("c", 0..50), vec!["half".into()]].concat();
            assert_eq!(sorted(expected.clone()), sorted(rig.messages()), "{ending}");
            let path = rig.path("app.log").to_string_lossy().into_owned();
            assert!(rig.records()[..100].iter().all(|r| r["log"]["file"]["path"] == path), "{ending}");
            let (read, ledger) = rig.ledger();
            assert_eq!(read, ledger.finished());
            // Nothing comes again, whatever they are called next.
            for _ in 0..2 {
                rig.kill();
                rotate(&rig, ending);
                rig.append("app.log", "d\n");
                every_compressed(&mut rig);
            }
            let messages = rig.messages();
            assert_eq!(expected.len() + 2, messages.len(), "{ending}: {:?}", &messages[expected.len()..]);
        }
    }
}

#[test]
fn compressed_under_a_running_agent_and_after_a_kill_at_any_time() {
    for glob in globs() {
        for kill_after in [None, Some(0), Some(1), Some(3), Some(60)] {
            let mut rig = Rig::with(glob);
            let mut expected = Vec::new();
            for round in 0..4 {
                let prefix = format!("r{round}");
                rig.append("app.log", numbered(&prefix, 0..200));
                expected.extend(names(&prefix, 0..200));
                rig.steps(round * 2);
                rotate(&rig, "gz");
                if let Some(steps) = kill_after {
                    rig.steps(steps);
                    rig.kill();
                }
            }
            every_compressed(&mut rig);
            assert_eq!(sorted(expected.clone()), sorted(rig.distinct()), "{kill_after:?}");
            rig.kill();
            let before = rig.messages().len();
            every_compressed(&mut rig);
            assert_eq!(before, rig.messages().len(), "{kill_after:?}: nothing again after a restart");
        }
    }
}

#[test]
fn a_compressed_file_is_read_before_what_followed_it_through_kills() {
    for glob in globs() {
        for (steps, again) in [(0, 0), (1, 3), (3, 5), (8, 2)] {
            let mut rig = Rig::with(glob);
            rig.append("app.log", numbered("a", 0..50));
            rig.settle();
            rig.rename("app.log", "app.log.1");
            rig.append("app.log", numbered("c", 0..50));
            rig.settle();
            rig.kill();
            rig.append("app.log.1", numbered("b", 0..40_000));
            rig.append("app.log", numbered("d", 0..40_000));
            rig.rename("app.log.1", "app.log.2");
            compress(&rig, "app.log.2", "app.log.2.gz");
            rig.rename("app.log", "app.log.1");
            compress(&rig, "app.log.1", "app.log.1.zst");
            rig.append("app.log", numbered("e", 0..40_000));
            rig.acknowledge = false;
            for steps in [steps, again] {
                rig.steps(steps);
                rig.kill();
            }
            rig.topic.0.borrow_mut().sent.truncate(100);
            rig.acknowledge = true;
            every_compressed(&mut rig);
            let messages = rig.messages();
            let expected = [
                names("a", 0..50),
                names("c", 0..50),
                names("b", 0..40_000),
                names("d", 0..40_000),
                names("e", 0..40_000),
            ];
            assert!(expected.concat() == messages, "{steps} and {again} steps: {} messages", messages.len());
        }
    }
}

#[test]
fn a_failed_delivery_from_a_compressed_file_is_read_again() {
    let mut rig = Rig::new();
    rig.append("app.log", numbered("a", 0..10));
    rig.settle();
    rig.kill();
    rig.append("app.log", numbered("a", 10..200_000));
    rotate(&rig, "gz");
    rig.acknowledge = false;
    rig.settle();
    rig.topic.report(5, Outcome::Failed);
    rig.topic.report_all(Outcome::Acknowledged);
    rig.acknowledge = true;
    every_compressed(&mut rig);
    assert_eq!(names("a", 0..200_000), rig.distinct());
    let (read, ledger) = rig.ledger();
    assert_eq!((200_000, 200_000), (read, ledger.acknowledged));
}

#[test]
fn archives_from_before_the_first_start_are_read_only_if_a_glob_matches_them() {
    for (glob, expected) in globs().into_iter().zip([1, 31]) {
        let mut rig = Rig::with(glob);
        rig.append("app.log.1", numbered("old", 0..30));
        compress(&rig, "app.log.1", "app.log.1.gz");
        rig.append("app.log", "new\n");
        rig.now.unix_ms = 4_000_000_000_000;
        every_compressed(&mut rig);
        assert_eq!(expected, rig.messages().len());
        rig.kill();
        every_compressed(&mut rig);
        assert_eq!(expected, rig.messages().len());
    }
    let mut rig = Rig::with(|c| {
        c.inputs[0].include[0].push('*');
        c.inputs[0].read_from = logmill_config::agent::ReadFrom::End;
    });
    rig.append("app.log.1", "old\n");
    compress(&rig, "app.log.1", "app.log.1.gz");
    every_compressed(&mut rig);
    assert_eq!(0, rig.messages().len());
}

#[test]
fn what_is_no_compressed_file_is_read_as_it_is_and_damage_stops_only_that_file() {
    let mut rig = Rig::with(|c| c.inputs[0].include[0].push('*'));
    rig.append("plain.log.gz", "plain\n");
    rig.append("whole.log", numbered("w", 0..100_000));
    compress(&rig, "whole.log", "whole.log.gz");
    let mut bytes = fs::read(rig.path("whole.log.gz")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].iter_mut().for_each(|b| *b ^= 0x55);
    fs::write(rig.path("whole.log.gz"), bytes).unwrap();
    rig.append("other.log", "other\n");
    every_compressed(&mut rig);
    let messages = rig.messages();
    assert!(messages.contains(&"plain".to_owned()) && messages.contains(&"other".to_owned()));
    assert!(messages.contains(&"w-1000".to_owned()), "what can be decompressed is read");
    assert!(rig.engine.as_ref().unwrap().slots.open_files() <= 2, "and the file is closed");
}

#[test]
fn what_a_truncation_took_is_lost_only_where_no_compressed_copy_has_it() {
    for (copied, acknowledge) in [(true, true), (true, false), (false, true)] {
        let mut rig = Rig::new();
        rig.acknowledge = acknowledge;
        rig.topic.0.borrow_mut().room = 10;
        rig.append("app.log", numbered("a", 0..1000));
        rig.steps(50);
        let content = fs::read(rig.path("app.log")).unwrap();
        let other = numbered("other", 0..1000).into_bytes();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(if copied { &content } else { &other }).unwrap();
        rig.append("app.log.1.gz", encoder.finish().unwrap());
        fs::OpenOptions::new().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
        rig.append("app.log", numbered("b", 0..10));
        (rig.acknowledge, rig.topic.0.borrow_mut().room) = (true, usize::MAX);
        for _ in 0..3 {
            rig.settle();
            rig.pass(Duration::from_secs(2));
        }
        rig.settle_losses();
        let (read, ledger) = rig.ledger();
        let case = format!("copied: {copied}, acknowledged: {acknowledge}, {ledger:?}");
        assert_eq!(read, ledger.finished(), "{case}");
        assert_eq!(copied, ledger.bytes_lost == 0, "{case}");
        assert_eq!(copied, ledger.dropped[crate::ledger::Reason::Truncated as usize] == 0, "{case}");
        assert_eq!(copied, rig.distinct().len() == 1010, "{case}");
    }
}

/// A file that was truncated when few of its lines were read, and what it was.
fn truncated_unread(delayed: bool) -> (Rig, Vec<u8>) {
    use logmill_config::agent::{Limit, LimitPer, OnExceed};
    let mut rig = Rig::with(|c| {
        let (per, on_exceed) = (LimitPer::File, OnExceed::Delay);
        let slow = Limit { per, lines_per_second: Some(1_000_000), bytes_per_second: None, burst: None, on_exceed };
        c.inputs[0].limits.extend(delayed.then_some(slow));
    });
    rig.topic.0.borrow_mut().room = 10;
    rig.acknowledge = false;
    rig.append("app.log", numbered("a", 0..100_000));
    rig.steps(50);
    let content = fs::read(rig.path("app.log")).unwrap();
    fs::OpenOptions::new().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
    rig.steps(50);
    rig.append("app.log", numbered("b", 0..10));
    (rig.acknowledge, rig.topic.0.borrow_mut().room) = (true, usize::MAX);
    (rig, content)
}

fn write_compressed(rig: &Rig, name: &str, content: &[u8]) {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    rig.append(name, encoder.finish().unwrap());
}

#[test]
fn what_a_truncation_took_is_not_lost_where_a_compressed_copy_comes_later() {
    for (fails, copied) in [(false, 100_000), (true, 100_000), (false, 50_000)] {
        let (mut rig, content) = truncated_unread(false);
        if fails {
            rig.topic.report_all(Outcome::Failed);
        }
        rig.settle();
        rig.pass(Duration::from_secs(20));
        rig.settle();
        assert_eq!(0, rig.ledger().1.bytes_lost, "nobody knows yet");
        let len = numbered("a", 0..copied).len();
        write_compressed(&rig, "app.log.1.gz", &content[..len]);
        every_compressed(&mut rig);
        let (read, ledger) = rig.ledger();
        let case = format!("failed: {fails}, copied: {copied}, {ledger:?}");
        assert_eq!(copied + 10, rig.distinct().len(), "{case}");
        assert_eq!((read, (content.len() - len) as u64), (ledger.finished(), ledger.bytes_lost), "{case}");
    }
}

#[test]
fn what_a_truncation_took_and_no_copy_has_is_lost_also_after_a_kill() {
    for (killed, delayed, unfinished) in
        [(false, false, false), (true, false, false), (true, true, false), (true, true, true), (false, true, true)]
    {
        let (mut rig, content) = truncated_unread(delayed);
        if unfinished {
            // Never to be whole.
            rig.append("app.log.1.gz", [0x1f, 0x8b, 8, 0]);
        }
        // So long that the checkpoint has what is acknowledged.
        rig.steps(30);
        if killed {
            rig.kill();
        }
        every_compressed(&mut rig);
        if unfinished {
            fs::remove_file(rig.path("app.log.1.gz")).unwrap();
        }
        rig.settle_losses();
        rig.kill();
        rig.settle();
        let (read, ledger) = rig.ledger();
        let case = format!("killed: {killed}, delayed: {delayed}, unfinished: {unfinished}, {ledger:?}");
        let sent = numbered("a", 0..rig.distinct().iter().filter(|m| m.starts_with("a-")).count()).len();
        assert_eq!(read, ledger.finished(), "{case}");
        assert_eq!((content.len() - sent) as u64, ledger.bytes_lost, "{case}");
    }
}
