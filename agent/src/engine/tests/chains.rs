//! Several rotations before the agent looks once: copied, truncated, renamed and compressed, in one go.

use super::*;

/// Renames each file from its name to the next.
fn shift(rig: &Rig, names: &[&str]) {
    names.windows(2).rev().for_each(|pair| rig.rename(pair[0], pair[1]));
}

fn copy_and_truncate(rig: &Rig) {
    rig.next_birth();
    fs::copy(rig.path("app.log"), rig.path("app.log.1")).unwrap();
    fs::OpenOptions::new().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
}

fn compress(rig: &Rig, from: &str) {
    let out = fs::File::create(rig.path(&format!("{from}.gz"))).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
    encoder.write_all(&fs::read(rig.path(from)).unwrap()).unwrap();
    encoder.finish().unwrap();
    fs::remove_file(rig.path(from)).unwrap();
}

/// Until all that waits for a little while is read, but not what waits for a minute.
fn settle(rig: &mut Rig) {
    for _ in 0..3 {
        rig.settle();
        rig.pass(Duration::from_secs(2));
    }
    rig.settle();
}

/// Nothing comes under another id now or after a restart.
fn nothing_again(rig: &mut Rig, expected: &[String], case: &str) {
    assert_eq!(expected, rig.distinct(), "{case}");
    rig.kill();
    settle(rig);
    rig.pass(Duration::from_secs(60));
    settle(rig);
    assert_eq!(expected.len(), rig.distinct().len(), "{case}: again after a restart");
}

#[test]
fn copied_truncated_and_renamed_before_anybody_looks() {
    // Killed or not; positions and marks in the checkpoint or not yet.
    for (killed, written) in [(false, true), (true, true), (true, false)] {
        for more in [0, 10] {
            let case = format!("killed: {killed}, written: {written}, {more} lines more");
            let mut rig = Rig::new();
            rig.append("app.log", numbered("a", 0..500));
            rig.steps(8);
            if written {
                rig.settle();
            }
            assert_eq!(500, rig.messages().len(), "{case}");
            if killed {
                rig.kill();
            }
            rig.append("app.log", numbered("b", 0..more));
            copy_and_truncate(&rig);
            rig.append("app.log", numbered("c", 0..10));
            shift(&rig, &["app.log", "app.log.1", "app.log.2"]);
            rig.next_birth();
            rig.append("app.log", numbered("d", 0..10));
            settle(&mut rig);
            let expected = [names("a", 0..500), names("b", 0..more), names("c", 0..10), names("d", 0..10)].concat();
            nothing_again(&mut rig, &expected, &case);
        }
    }
}

#[test]
fn copied_truncated_renamed_and_gone_while_down() {
    for written in [true, false] {
        let mut rig = Rig::new();
        rig.append("app.log", numbered("a", 0..500));
        rig.steps(8);
        if written {
            rig.settle();
        }
        rig.kill();
        copy_and_truncate(&rig);
        shift(&rig, &["app.log", "app.log.1", "app.log.2"]);
        fs::remove_file(rig.path("app.log.1")).unwrap();
        rig.next_birth();
        rig.append("app.log", numbered("b", 0..10));
        settle(&mut rig);
        nothing_again(&mut rig, &[names("a", 0..500), names("b", 0..10)].concat(), &format!("written: {written}"));
    }
}

#[test]
fn copied_truncated_renamed_and_compressed_while_down() {
    for which in ["app.log.1", "app.log.2"] {
        let mut rig = Rig::new();
        rig.append("app.log", numbered("a", 0..500));
        rig.steps(8);
        rig.kill();
        copy_and_truncate(&rig);
        rig.append("app.log", numbered("c", 0..10));
        shift(&rig, &["app.log", "app.log.1", "app.log.2"]);
        compress(&rig, which);
        rig.next_birth();
        rig.append("app.log", numbered("d", 0..10));
        settle(&mut rig);
        let mut expected = [names("a", 0..500), names("c", 0..10), names("d", 0..10)].concat();
        if which == "app.log.1" {
            // What came unseen and is compressed may be read later.
            expected.sort();
            let mut distinct = rig.distinct();
            distinct.sort();
            assert_eq!(expected, distinct);
            expected = rig.distinct();
        }
        nothing_again(&mut rig, &expected, which);
    }
}

#[test]
fn the_successor_of_a_truncated_and_renamed_file_is_no_copy() {
    for killed in [false, true] {
        let mut rig = Rig::new();
        rig.append("app.log", numbered("banner", 0..100));
        rig.append("app.log", numbered("a", 0..100));
        rig.settle();
        if killed {
            rig.kill();
        }
        fs::OpenOptions::new().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
        rig.append("app.log", numbered("banner", 0..100));
        rig.rename("app.log", "app.log.1");
        rig.next_birth();
        // It came and was renamed before anybody saw it.
        rig.append("app.log", numbered("banner", 0..100));
        shift(&rig, &["app.log", "app.log.1", "app.log.2"]);
        rig.next_birth();
        rig.append("app.log", numbered("banner", 0..100));
        settle(&mut rig);
        assert_eq!(500, rig.messages().len(), "killed: {killed}");
    }
}

#[test]
fn a_small_successor_of_a_file_that_is_gone_is_no_copy() {
    for truncated in [false, true] {
        let mut rig = Rig::new();
        rig.append("app.log", numbered("a", 0..500));
        rig.steps(8);
        rig.kill();
        if truncated {
            fs::OpenOptions::new().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
            rig.rename("app.log", "app.log.2");
        } else {
            fs::remove_file(rig.path("app.log")).unwrap();
        }
        rig.next_birth();
        // Shorter than what is known of the other's beginning.
        rig.append("app.log.1", numbered("b", 0..3));
        rig.next_birth();
        rig.append("app.log", numbered("c", 0..10));
        settle(&mut rig);
        assert_eq!([names("a", 0..500), names("b", 0..3), names("c", 0..10)].concat(), rig.distinct());
        let records = rig.records();
        let b: Vec<_> = records.iter().filter(|r| r["message"].as_str().unwrap().starts_with("b-")).collect();
        assert!(b.iter().all(|r| r["@timestamp"] != records[0]["@timestamp"]), "read when the other was");
        rig.append("app.log.1", numbered("b", 3..300));
        settle(&mut rig);
        let expected = [names("a", 0..500), names("b", 0..3), names("c", 0..10), names("b", 3..300)].concat();
        nothing_again(&mut rig, &expected, &format!("truncated: {truncated}"));
    }
}

#[test]
fn a_copy_under_the_name_of_a_file_that_was_renamed_unseen_is_a_copy() {
    let mut rig = Rig::new();
    rig.append("first.log", "first\n");
    rig.settle();
    // It came, was renamed before anybody saw it, and is gone again.
    rig.append("app.log", numbered("p", 0..5));
    rig.rename("app.log", "app.log.1");
    rig.settle();
    fs::remove_file(rig.path("app.log.1")).unwrap();
    rig.append("app.log", numbered("a", 0..500));
    rig.steps(8);
    copy_and_truncate(&rig);
    rig.append("app.log", numbered("c", 0..10));
    rig.append("new.log", "new\n");
    settle(&mut rig);
    let mut expected =
        [vec!["first".into(), "new".into()], names("p", 0..5), names("a", 0..500), names("c", 0..10)].concat();
    expected.sort();
    let mut distinct = rig.distinct();
    distinct.sort();
    assert_eq!(expected, distinct);
}

#[test]
fn a_compressed_file_that_is_renamed_between_scan_and_look_goes_on_from_one_that_is_gone() {
    let mut rig = Rig::new();
    rig.append("app.log", numbered("a", 0..500));
    rig.steps(8);
    rig.kill();
    rig.rename("app.log", "app.log.1");
    compress(&rig, "app.log.1");
    rig.append("app.log", numbered("b", 0..10));
    rig.start();
    // No event of it is seen before the look.
    rig.engine.as_mut().unwrap().watcher = Watcher::new().unwrap();
    rig.rename("app.log.1.gz", "app.log.2.gz");
    settle(&mut rig);
    let mut expected = [names("a", 0..500), names("b", 0..10)].concat();
    expected.sort();
    let mut distinct = rig.distinct();
    distinct.sort();
    assert_eq!(expected, distinct);
}

#[test]
fn who_waits_for_a_compressed_file_is_not_what_that_one_waits_for() {
    // Killed once more before it was known whose continuation it is, or not.
    for killed_again in [false, true] {
        let mut rig = Rig::new();
        rig.append("app.log", numbered("p", 0..500));
        rig.settle();
        rig.rename("app.log", "app.log.2");
        rig.next_birth();
        rig.append("app.log", numbered("a", 0..500));
        rig.settle();
        rig.kill();
        fs::remove_file(rig.path("app.log.2")).unwrap();
        copy_and_truncate(&rig);
        rig.append("app.log", numbered("c", 0..10));
        compress(&rig, "app.log.1");
        if killed_again {
            rig.start();
            rig.kill();
        }
        settle(&mut rig);
        let expected = [names("p", 0..500), names("a", 0..500), names("c", 0..10)].concat();
        assert_eq!(expected, rig.distinct(), "killed again: {killed_again}");
    }
}

#[test]
fn a_copy_is_known_by_its_beginning_where_the_mark_says_too_little() {
    for killed in [false, true] {
        let mut rig = Rig::new();
        rig.append("app.log", numbered("a", 0..20));
        rig.settle();
        rig.append("app.log", numbered("a", 20..300));
        rig.steps(8);
        if killed {
            rig.kill();
        }
        copy_and_truncate(&rig);
        rig.append("app.log", numbered("c", 0..10));
        shift(&rig, &["app.log", "app.log.1", "app.log.2"]);
        rig.next_birth();
        rig.append("app.log", numbered("d", 0..10));
        settle(&mut rig);
        let expected = [names("a", 0..300), names("c", 0..10), names("d", 0..10)].concat();
        nothing_again(&mut rig, &expected, &format!("killed: {killed}"));
    }
}

#[test]
fn what_filled_a_truncated_file_up_is_no_mark_of_what_was_there() {
    let mut rig = Rig::new();
    rig.append("app.log", numbered("a", 0..500));
    rig.steps(8);
    rig.append("app.log", numbered("b", 0..10));
    copy_and_truncate(&rig);
    rig.append("app.log", numbered("c", 0..700));
    // The next turn writes the positions.
    rig.pass(Duration::from_secs(1));
    settle(&mut rig);
    let expected = [names("a", 0..500), names("b", 0..10), names("c", 0..700)].concat();
    nothing_again(&mut rig, &expected, "");
}

#[test]
fn truncated_and_filled_up_before_anything_was_read_since_the_start() {
    for (from_end, down) in [(false, false), (true, false), (false, true)] {
        let mut rig = Rig::with(|c| {
            if from_end {
                c.inputs[0].read_from = logmill_config::agent::ReadFrom::End;
            }
        });
        let banner = numbered("banner", 0..200);
        rig.append("app.log", &banner);
        rig.append("app.log", numbered("a", 0..100));
        rig.settle();
        rig.kill();
        if !down {
            rig.settle();
        }
        fs::OpenOptions::new().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
        // The beginning is the same.
        rig.append("app.log", &banner);
        rig.append("app.log", numbered("b", 0..200));
        settle(&mut rig);
        let seen = if from_end { 0 } else { 300 };
        assert_eq!(seen + 400, rig.messages().len(), "from its end: {from_end}, while down: {down}");
    }
}

#[test]
fn killed_when_the_truncation_was_seen_and_the_copy_was_not() {
    for parts in [1, 2] {
        let mut rig = Rig::new();
        for part in 0..parts {
            rig.append("app.log", numbered("a", part * 500..(part + 1) * 500));
            rig.steps(4);
        }
        copy_and_truncate(&rig);
        rig.pass(Duration::from_secs(1));
        rig.steps(1);
        rig.kill();
        rig.append("app.log", numbered("c", 0..10));
        shift(&rig, &["app.log", "app.log.1", "app.log.2"]);
        rig.next_birth();
        rig.append("app.log", numbered("d", 0..10));
        settle(&mut rig);
        let expected = [names("a", 0..parts * 500), names("c", 0..10), names("d", 0..10)].concat();
        nothing_again(&mut rig, &expected, &format!("{parts} parts"));
    }
}

#[test]
fn events_that_come_after_a_listing_has_shown_more() {
    let mut rig = Rig::new();
    rig.append("app.log", numbered("a", 0..10));
    rig.settle();
    // These are told as follows.
    rig.engine.as_mut().unwrap().watcher = Watcher::new().unwrap();
    for lines in ["b", "c"] {
        shift(&rig, &["app.log", "app.log.1", "app.log.2"][if lines == "b" { 0..2 } else { 0..3 }]);
        rig.next_birth();
        rig.append("app.log", numbered(lines, 0..10));
    }
    let renamed = |from, to| Change::Renamed { from: rig.path(from), to: rig.path(to) };
    let first = vec![renamed("app.log", "app.log.1"), Change::Appeared(rig.path("app.log"))];
    let second = [vec![renamed("app.log.1", "app.log.2")], first.clone()].concat();
    for changes in [first, second] {
        rig.engine.as_mut().unwrap().changes = changes;
        rig.step();
    }
    rig.settle();
    assert_eq!([names("a", 0..10), names("b", 0..10), names("c", 0..10)].concat(), rig.messages());
}

#[test]
fn a_truncation_filled_up_to_the_same_size_is_not_forgotten_while_a_copy_is_looked_for() {
    for (copied, lines) in [(true, 10), (true, 500), (false, 10), (false, 500)] {
        let mut rig = Rig::new();
        rig.append("app.log", numbered("a", 0..lines));
        settle(&mut rig);
        rig.next_birth();
        let copy = if copied { fs::read(rig.path("app.log")).unwrap() } else { Vec::new() };
        rig.append("app.log.1", copy);
        fs::write(rig.path("app.log"), numbered("b", 0..lines)).unwrap();
        settle(&mut rig);
        let expected = [names("a", 0..lines), names("b", 0..lines)].concat();
        nothing_again(&mut rig, &expected, &format!("copied: {copied}, {lines} lines"));
    }
}

#[test]
fn killed_when_the_copy_of_a_file_that_is_gone_was_found_and_not_looked_at() {
    let mut rig = Rig::new();
    rig.append("app.log", numbered("a", 0..500));
    rig.settle();
    rig.kill();
    rig.next_birth();
    fs::copy(rig.path("app.log"), rig.path("app.log.1")).unwrap();
    fs::remove_file(rig.path("app.log")).unwrap();
    rig.next_birth();
    rig.append("app.log", numbered("b", 0..10));
    for _ in 0..2 {
        rig.start();
        rig.kill();
    }
    rig.settle();
    assert_eq!([names("a", 0..500), names("b", 0..10)].concat(), rig.distinct());
}

#[test]
fn killed_when_the_truncation_was_seen_and_the_compressed_copy_was_not() {
    for glob in ["", "*"] {
        for (acknowledge, seen, more) in (0..32).map(|n| (n % 2 == 0, n / 2 % 4, n / 8)) {
            let case = format!("glob: {glob}, acknowledged: {acknowledge}, after {seen} and {more} steps");
            let mut rig = Rig::with(|c| c.inputs[0].include[0].push_str(glob));
            rig.acknowledge = acknowledge;
            rig.append("app.log", numbered("a", 0..500));
            rig.steps(8);
            rig.kill();
            copy_and_truncate(&rig);
            rig.append("app.log", numbered("c", 0..10));
            rig.start();
            // No event of the compressed file is seen before the kill.
            rig.engine.as_mut().unwrap().watcher = Watcher::new().unwrap();
            compress(&rig, "app.log.1");
            rig.steps(seen);
            rig.kill();
            rig.steps(more);
            rig.kill();
            rig.acknowledge = true;
            settle(&mut rig);
            let mut expected = [names("a", 0..500), names("c", 0..10)].concat();
            let distinct = rig.distinct();
            let mut sorted = distinct.clone();
            expected.sort();
            sorted.sort();
            assert_eq!(expected, sorted, "{case}");
            let (read, ledger) = rig.ledger();
            assert_eq!(read, ledger.finished(), "{case}");
            nothing_again(&mut rig, &distinct, &case);
        }
    }
}

/// Copied, deleted, and another one under its name.
fn copy_and_make_anew(rig: &mut Rig) {
    rig.next_birth();
    fs::copy(rig.path("app.log"), rig.path("app.log.1")).unwrap();
    fs::remove_file(rig.path("app.log")).unwrap();
    rig.next_birth();
    rig.append("app.log", numbered("b", 0..10));
}

/// In whatever order, each under one id.
fn all_there_and_nothing_again(rig: &mut Rig, mut expected: Vec<String>, case: &str) {
    let distinct = rig.distinct();
    let mut sorted = distinct.clone();
    expected.sort();
    sorted.sort();
    assert!(expected == sorted, "{case}: {} instead of {} lines", sorted.len(), expected.len());
    nothing_again(rig, &distinct, case);
}

#[test]
fn compressed_when_the_copy_of_a_file_that_is_gone_was_found_and_not_looked_at() {
    for seen in 0..4 {
        let mut rig = Rig::new();
        rig.append("app.log", numbered("a", 0..500));
        rig.steps(8);
        rig.kill();
        rig.append("app.log", numbered("m", 0..10));
        copy_and_make_anew(&mut rig);
        rig.start();
        rig.steps(seen);
        compress(&rig, "app.log.1");
        settle(&mut rig);
        let expected = [names("a", 0..500), names("m", 0..10), names("b", 0..10)].concat();
        all_there_and_nothing_again(&mut rig, expected, &format!("after {seen} steps"));
    }
}

#[test]
fn compressed_while_the_copy_of_a_file_that_is_gone_waits() {
    for (seen, then) in (0..16).map(|n| (n % 4, n / 4)) {
        let case = format!("after {seen} and {then} steps");
        let mut rig = Rig::new();
        rig.append("app.log", numbered("p", 0..300));
        rig.steps(4);
        rig.rename("app.log", "app.log.2");
        rig.next_birth();
        rig.append("app.log", numbered("a", 0..500));
        rig.steps(8);
        rig.kill();
        rig.append("app.log.2", numbered("p", 300..310));
        rig.append("app.log", numbered("a", 500..510));
        copy_and_make_anew(&mut rig);
        rig.start();
        rig.steps(seen);
        compress(&rig, "app.log.2");
        rig.steps(then);
        compress(&rig, "app.log.1");
        settle(&mut rig);
        rig.pass(Duration::from_secs(60));
        settle(&mut rig);
        let expected = [names("p", 0..310), names("a", 0..510), names("b", 0..10)].concat();
        all_there_and_nothing_again(&mut rig, expected, &case);
    }
}
