//! Files as they are found: after a kill, after a power cut, set aside, compressed, on a disk that fails.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use logmill_config::sinks::FileCompression;

use super::*;

fn config(dir: &Path, compression: FileCompression) -> sinks::File {
    sinks::File {
        path: dir.join("app.ndjson"),
        max_bytes: 100,
        max_age: Duration::from_secs(60),
        compression,
        linger: Duration::ZERO,
    }
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_245_407 + seconds)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.ends_with(".lock"));
    names.sort();
    names
}

#[test]
fn a_torn_end_is_cut_at_the_last_whole_line() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), FileCompression::None);
    for (found, kept) in [
        (&b""[..], &b""[..]),
        (b"{\"a\":1}\n", b"{\"a\":1}\n"),
        (b"{\"a\":1}\n{\"b\"", b"{\"a\":1}\n"),
        (b"{\"b\"", b""),
        (b"{\"a\":1}\n\0\0\0\0", b"{\"a\":1}\n"),
        (b"{\"a\":1}\n{\"b\":\0\0\0\n\0\0", b"{\"a\":1}\n"),
    ] {
        fs::write(&config.path, found).unwrap();
        let mut writer = Writer::new(&config).unwrap();
        writer.append(b"{\"c\":3}\n", time(0)).unwrap();
        assert_eq!(fs::read(&config.path).unwrap(), [kept, b"{\"c\":3}\n"].concat(), "{found:?}");
    }
}

#[test]
fn line_ends_are_found_across_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let long = vec![b'x'; (1 << 20) - 1];
    fs::write(&path, [&long[..], b"\n", &long, b"yy"].concat()).unwrap();
    let length = recover::whole_lines(&mut fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(length, 1 << 20);
}

#[test]
fn an_old_file_is_set_aside_without_another_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(&config(dir.path(), FileCompression::None)).unwrap();
    writer.set_aside_when_old(time(0)).unwrap();
    assert!(names(dir.path()).is_empty(), "nothing is made of nothing");
    writer.append(b"{}\n", time(0)).unwrap();
    writer.set_aside_when_old(time(59)).unwrap();
    assert_eq!(names(dir.path()), ["app.ndjson"]);
    writer.set_aside_when_old(time(60)).unwrap();
    assert_eq!(names(dir.path()), ["app.ndjson.20261121T071747Z"]);
    writer.set_aside_when_old(time(200)).unwrap();
    assert_eq!(names(dir.path()).len(), 1);

    // One that another process left behind.
    fs::write(dir.path().join("app.ndjson"), b"{}\n").unwrap();
    let found = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX));
    writer.set_aside_when_old(found).unwrap();
    assert_eq!(names(dir.path()).len(), 2);
    assert!(!dir.path().join("app.ndjson").exists());
}

#[test]
fn large_and_old_files_are_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(&config(dir.path(), FileCompression::None)).unwrap();
    let line = b"{\"n\":\"0123456789012345678901234567890123456789\"}\n";
    for _ in 0..5 {
        writer.append(line, time(0)).unwrap();
    }
    assert_eq!(names(dir.path()), ["app.ndjson.20261121T071647Z", "app.ndjson"].map(String::from).tap_sorted());
    writer.append(line, time(59)).unwrap();
    writer.append(line, time(61)).unwrap();
    assert_eq!(names(dir.path()).len(), 3, "{:?}", names(dir.path()));
    let total: u64 = names(dir.path()).iter().map(|n| fs::metadata(dir.path().join(n)).unwrap().len()).sum();
    assert_eq!(total, 7 * line.len() as u64);
    // Two within one second do not meet.
    for _ in 0..6 {
        writer.append(line, time(61)).unwrap();
    }
    assert!(names(dir.path()).contains(&"app.ndjson.20261121T071748Z-0001".to_owned()), "{:?}", names(dir.path()));
}

trait Sorted {
    fn tap_sorted(self) -> Self;
}

impl<const N: usize> Sorted for [String; N] {
    fn tap_sorted(mut self) -> Self {
        self.sort();
        self
    }
}

#[test]
fn finished_files_are_compressed_also_those_of_before_a_kill() {
    for (compression, end) in [(FileCompression::Gzip, "gz"), (FileCompression::Zstd, "zst")] {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join("app.ndjson.20261121T060000Z");
        fs::write(&left, b"{\"old\":1}\n").unwrap();
        fs::write(format!("{}.{end}.unfinished", left.display()), b"half").unwrap();
        fs::write(dir.path().join("app.ndjson.notes"), b"mine").unwrap();
        let mut writer = Writer::new(&config(dir.path(), compression)).unwrap();
        let line = [&[b'x'; 120][..], b"\n"].concat();
        writer.append(&line, time(0)).unwrap();
        let expected = [
            format!("app.ndjson.20261121T060000Z.{end}"),
            format!("app.ndjson.20261121T071647Z.{end}"),
            "app.ndjson.notes".to_owned(),
        ];
        assert_eq!(names(dir.path()), expected);
        let unpacked = |name: &str| unpack(&dir.path().join(name), compression);
        assert_eq!(unpacked(&expected[0]), b"{\"old\":1}\n");
        assert_eq!(unpacked(&expected[1]), line);
    }
}

fn unpack(path: &PathBuf, compression: FileCompression) -> Vec<u8> {
    let file = fs::File::open(path).unwrap();
    let mut bytes = Vec::new();
    match compression {
        FileCompression::Zstd => zstd::Decoder::new(file).unwrap().read_to_end(&mut bytes).unwrap(),
        _ => flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap(),
    };
    bytes
}

#[test]
fn one_process_writes_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), FileCompression::None);
    let first = Writer::new(&config).unwrap();
    let error = File::new("archive", &config).err().unwrap().to_string();
    assert!(error.contains("another process writes this file"), "{error}");
    drop(first);
    assert!(File::new("archive", &config).is_ok());
}

#[tokio::test]
async fn a_file_that_was_closed_is_free_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), FileCompression::None);
    let first = File::new("archive", &config).unwrap();
    first.writer.lock().append(b"{}\n", time(0)).unwrap();
    // What still holds it, such as a delivery that was broken off.
    let held = first.writer.clone();
    first.close().await;
    let second = File::new("archive", &config).unwrap();
    assert!(held.lock().append(b"{}\n", time(0)).is_err());
    second.writer.lock().append(b"{}\n", time(0)).unwrap();
    assert_eq!(fs::read(&config.path).unwrap(), b"{}\n{}\n");
}

#[test]
fn a_directory_that_is_missing_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("later");
    let config = config(&place, FileCompression::None);
    let mut writer = Writer::new(&config).unwrap();
    assert!(writer.append(b"{}\n", time(0)).is_err());
    fs::create_dir(&place).unwrap();
    writer.append(b"{}\n", time(0)).unwrap();
    assert_eq!(fs::read(&config.path).unwrap(), b"{}\n");
}
