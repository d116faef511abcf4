//! Files that come around a kill: known or not, renamed or not, none is passed over, and what is not owed is not read.

use super::*;

/// Milliseconds since 1970 by the clock that files are born by, some time ahead.
fn real_ms(ahead: Duration) -> i64 {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() + ahead;
    i64::try_from(now.as_millis()).unwrap()
}

fn sorted(mut messages: Vec<String>) -> Vec<String> {
    messages.sort();
    messages
}

/// What happens to the file while the agent is down.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Down {
    Grows,
    IsRotated,
    IsRotatedTwice,
    IsRotatedAndFollowed,
}

fn killed_after(steps: usize, begun_before: bool, lines: usize, down: Down) {
    let mut rig = Rig::new();
    let case = format!("{steps} steps, begun before: {begun_before}, {lines} lines, {down:?}");
    if begun_before {
        rig.start();
    }
    rig.append("other.log", "other\n");
    rig.append("app.log", numbered("a", 0..lines));
    if !begun_before {
        rig.start();
    }
    rig.steps(steps);
    rig.kill();
    let mut name = "app.log";
    if down != Down::Grows {
        // The writer goes on in the renamed file.
        rig.rename("app.log", "app.log.1");
        name = "app.log.1";
    }
    if down == Down::IsRotatedTwice {
        rig.rename("app.log.1", "app.log.2");
        rig.append("app.log.1", numbered("b", 0..3));
        name = "app.log.2";
    }
    if down == Down::IsRotatedAndFollowed {
        rig.append("app.log", numbered("b", 0..3));
    }
    rig.steps(1);
    rig.append(name, numbered("a", lines..10));
    rig.settle();
    rig.append(name, numbered("a", 10..20));
    rig.settle();
    if name == "app.log" {
        rig.rename("app.log", "app.log.1");
        name = "app.log.1";
    }
    rig.append(name, numbered("a", 20..30));
    rig.append("app.log", numbered("c", 0..3));
    rig.settle();
    rig.kill();
    rig.append(name, numbered("a", 30..40));
    rig.settle();
    let mut expected = [names("a", 0..40), names("c", 0..3), vec!["other".to_owned()]].concat();
    if matches!(down, Down::IsRotatedTwice | Down::IsRotatedAndFollowed) {
        expected.extend(names("b", 0..3));
    }
    expected.sort();
    assert_eq!(expected, sorted(rig.distinct()), "{case}");
    assert_eq!(expected.len() as u64, rig.ledger().0, "{case}");
}

#[test]
fn a_file_that_came_just_before_a_kill_is_whole() {
    for down in [Down::Grows, Down::IsRotated, Down::IsRotatedTwice, Down::IsRotatedAndFollowed] {
        for lines in [0, 5] {
            for begun_before in [true, false] {
                (0..4).for_each(|steps| killed_after(steps, begun_before, lines, down));
            }
        }
    }
}

#[test]
fn a_file_from_before_the_first_start_is_owed_once_the_agent_has_begun() {
    let mut rig = Rig::new();
    rig.now.unix_ms = real_ms(Duration::from_secs(3600));
    rig.append("app.log", numbered("a", 0..5));
    rig.append("empty.log", "");
    rig.start();
    rig.kill();
    rig.rename("app.log", "app.log.1");
    rig.rename("empty.log", "empty.log.1");
    rig.append("empty.log.1", "filled\n");
    rig.settle();
    assert_eq!([names("a", 0..5), vec!["filled".into()]].concat(), sorted(rig.distinct()));
}

#[test]
fn files_rotated_before_the_first_start_are_not_read() {
    let mut rig = Rig::new();
    rig.append("app.log.1", "old\n");
    rig.append("gone.log.1", "old\n");
    rig.append("app.log", "new\n");
    rig.now.unix_ms = real_ms(Duration::from_secs(3600));
    rig.settle();
    rig.kill();
    rig.settle();
    rig.pass(Duration::from_secs(60));
    rig.settle();
    assert_eq!(["new"], *rig.distinct());
}

#[test]
fn a_copy_that_no_glob_matches_is_not_read() {
    let mut rig = Rig::new();
    rig.append("app.log", numbered("a", 0..5));
    rig.settle();
    rig.next_birth();
    for n in 1..4 {
        fs::copy(rig.path("app.log"), rig.path(&format!("app.log.{n}"))).unwrap();
        fs::OpenOptions::new().write(true).open(rig.path("app.log")).unwrap().set_len(0).unwrap();
        rig.settle();
        rig.append("app.log", numbered(&format!("b{n}"), 0..5));
        rig.pass(Duration::from_secs(60));
        rig.settle();
        rig.kill();
        rig.settle();
    }
    assert_eq!(20, rig.messages().len());
}

#[test]
fn a_first_start_that_was_killed_leaves_read_from_end_as_it_was() {
    let mut rig = Rig::with(|c| c.inputs[0].read_from = logmill_config::agent::ReadFrom::End);
    rig.append("app.log", "before\n");
    // Killed before anything was looked at, then right after.
    drop(rig.new_engine());
    rig.append("app.log", "still before\n");
    rig.start();
    rig.kill();
    rig.append("app.log", "after\n");
    rig.append("came.log", "came\n");
    rig.settle();
    assert_eq!(["after", "came"], *sorted(rig.distinct()));
}

#[test]
fn what_came_before_the_last_checkpoint_unnoticed_is_not_begun_at_its_end() {
    let mut rig = Rig::with(|c| c.inputs[0].read_from = logmill_config::agent::ReadFrom::End);
    rig.now.unix_ms = real_ms(Duration::ZERO);
    rig.append("app.log", "before\n");
    rig.settle();
    rig.pass(Duration::from_secs(3600));
    rig.append("app.log", "after\n");
    rig.settle();
    rig.kill();
    rig.append("came.log", "came\n");
    rig.settle();
    assert_eq!(["after", "came"], *rig.distinct());
}
