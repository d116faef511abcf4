//! Which files are read, and which never.

use std::os::unix::fs::symlink;

use super::*;

#[test]
fn globs_excludes_and_what_must_not_be_tailed() {
    let mut rig = Rig::with(|c| {
        c.inputs[0].exclude = vec!["**/not-this*".into()];
        // The state directory lies inside the globs.
        c.inputs[0].include[0] = c.inputs[0].include[0].replace("/logs/", "/");
    });
    fs::create_dir_all(rig.path("deep/er")).unwrap();
    rig.append("deep/er/a.log", "deep\n");
    rig.append("a.txt", "no\n");
    rig.append("not-this.log", "no\n");
    fs::write(rig.config.state_dir.join("own.log"), "no\n").unwrap();
    fs::create_dir_all(rig.path("topic-0")).unwrap();
    rig.append("topic-0/partition.metadata", "version: 0\n");
    rig.append("topic-0/00000000000000000000.log", "no\n");
    rig.settle();
    assert_eq!(["deep"], *rig.messages());
}

#[test]
fn symlinks_are_followed_but_not_in_circles() {
    let mut rig = Rig::new();
    let elsewhere = rig.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("linked.log"), "linked\n").unwrap();
    symlink(&elsewhere, rig.path("dir")).unwrap();
    symlink(rig.path(""), rig.path("circle")).unwrap();
    symlink(rig.path("a.log"), rig.path("second.log")).unwrap();
    symlink(rig.path("nowhere"), rig.path("dangling.log")).unwrap();
    rig.append("a.log", "a\n");
    rig.settle();
    let mut messages = rig.messages();
    messages.sort();
    assert_eq!(["a", "linked"], *messages, "each file once, whatever its names");
}

#[test]
fn new_directories_and_missing_ones() {
    let mut rig = Rig::with(|c| {
        c.rescan_interval = Duration::from_secs(3600);
        let missing = c.inputs[0].include[0].replace("**/*.log", "not/yet/*.log");
        c.inputs[0].include.push(missing);
    });
    rig.settle();
    fs::create_dir(rig.path("sub")).unwrap();
    rig.append("sub/a.log", "a\n");
    rig.settle();
    fs::create_dir_all(rig.path("not/yet")).unwrap();
    rig.settle();
    rig.append("not/yet/b.log", "b\n");
    rig.settle();
    assert_eq!(["a", "b"], *rig.messages());
}

#[test]
fn it_is_known_when_all_files_are_read_and_what_each_waits_for() {
    let mut rig = Rig::new();
    rig.acknowledge = false;
    rig.append("a.log", "a\nhalf");
    rig.append("b.log", "");
    let state = |rig: &Rig| {
        let engine = rig.engine.as_ref().unwrap();
        let (_, tracked) = engine.slots.iter().find(|(_, t)| t.path.ends_with("a.log")).unwrap();
        let status = engine.status_of(tracked, rig.now);
        (status.state.clone(), status.lag(), engine.all_read())
    };
    rig.settle();
    assert_eq!(("waits for acknowledgements".to_owned(), 6, false), state(&rig));
    rig.acknowledge = true;
    rig.topic.report_all(Outcome::Acknowledged);
    rig.settle();
    assert_eq!(("waits for the end of a line".to_owned(), 4, false), state(&rig));
    rig.pass(Duration::from_secs(6));
    rig.settle();
    assert_eq!(("at its end".to_owned(), 0, true), state(&rig));
}

#[test]
fn more_files_than_may_be_open() {
    let mut rig = Rig::with(|c| c.max_open_files = 16);
    for round in 0..3 {
        (0..100).for_each(|n| rig.append(&format!("{n}.log"), format!("{round}-{n}\n")));
        rig.settle();
        assert!(rig.engine.as_ref().unwrap().slots.open_files() <= 16);
    }
    assert_eq!(300, rig.distinct().len());
}

#[test]
fn a_directory_in_place_of_a_file_harms_nobody() {
    let mut rig = Rig::new();
    fs::create_dir(rig.path("dir.log")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        rig.path("pipe.log"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    rig.append("a.log", "a\n");
    rig.settle();
    assert_eq!(["a"], *rig.messages());
}

#[test]
fn old_files_are_left_alone_until_something_is_written_to_them() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut rig = Rig::with(|c| c.inputs[0].ignore_older = Some(DAY));
    let set_age = |rig: &Rig, name: &str, age: Duration| {
        let now = std::time::UNIX_EPOCH + Duration::from_millis(rig.now.unix_ms.cast_unsigned());
        let file = fs::File::options().append(true).open(rig.path(name)).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(now - age)).unwrap();
    };
    for (name, age) in [("old.log", DAY * 2), ("young.log", DAY / 2), ("known.log", DAY / 2)] {
        rig.append(name, format!("{name}\n"));
        set_age(&rig, name, age);
    }
    rig.settle();
    let mut messages = rig.messages();
    messages.sort();
    assert_eq!(["known.log", "young.log"], *messages);
    // What is known is read on, however old it becomes.
    rig.append("known.log", "more\n");
    set_age(&rig, "known.log", DAY * 3);
    rig.append("old.log", "again\n");
    rig.settle();
    assert_eq!(["again", "more", "old.log"], *{
        let mut messages = rig.messages()[2..].to_vec();
        messages.sort();
        messages
    });
}

#[test]
fn another_device_number_after_a_remount_is_the_same_file() {
    let mut rig = Rig::new();
    rig.append("a.log", numbered("a", 0..10));
    rig.settle();
    rig.kill();
    let mut engine = rig.new_engine();
    let state = engine.log.state().files.values().next().unwrap().clone();
    let (id, dev) = (state.entry.id, state.entry.dev + 7);
    let mut entries = vec![Entry::File(crate::checkpoint::FileEntry { dev, ..state.entry })];
    entries.extend(state.extents.iter().map(|extent| Entry::Extent(id, *extent)));
    entries.push(Entry::Position(id, state.position));
    engine.log.append(&entries, true).unwrap();
    drop(engine);
    rig.append("a.log", numbered("a", 10..20));
    rig.settle();
    assert_eq!(names("a", 0..20), rig.messages(), "nothing again");
}
