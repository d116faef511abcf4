//! Kafka's names on disk: partition directories and the files in them.

use crate::TopicId;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::path::{Path, PathBuf};

pub(crate) const LOG: &str = "log";
pub(crate) const INDEX: &str = "index";
pub(crate) const TIME_INDEX: &str = "timeindex";
pub(crate) const TXN_INDEX: &str = "txnindex";
pub(crate) const SNAPSHOT: &str = "snapshot";
/// Everything a segment consists of, the log first.
pub(crate) const SEGMENT_FILES: [&str; 4] = [LOG, INDEX, TIME_INDEX, TXN_INDEX];
/// With the producer snapshot of where it begins.
pub(crate) const SEGMENT_AND_SNAPSHOT: [&str; 5] = [LOG, INDEX, TIME_INDEX, TXN_INDEX, SNAPSHOT];

pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
pub(crate) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(crate) const LOG_STARTS: &str = "log-start-offset-checkpoint";
pub(crate) const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";
pub(crate) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
pub(crate) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
pub(crate) const LOCK: &str = ".lock";
pub(crate) const FENCES: &str = "fenced-offsets";

/// Ends of the names of a compacted segment's files: being written, and decided to replace others.
pub(crate) const CLEANED: &str = ".cleaned";
pub(crate) const SWAP: &str = ".swap";
pub(crate) const LOG_SWAP: &str = "log.swap";

/// End of the name of a segment's file that was deleted and is still to go.
const DELETED_FILE: &str = ".deleted";
const DELETED: &str = "-delete";

/// `<dir>/<20-digit offset>.<extension>`.
pub(crate) fn segment_file(dir: &Path, base_offset: i64, extension: &str) -> PathBuf {
    dir.join(format!("{base_offset:020}.{extension}"))
}

/// `<dir>/<20-digit offset>.<extension>.cleaned`.
pub(crate) fn cleaned_file(dir: &Path, base_offset: i64, extension: &str) -> PathBuf {
    dir.join(format!("{base_offset:020}.{extension}{CLEANED}"))
}

/// `<dir>/<20-digit offset>.<extension>.swap`.
pub(crate) fn swap_file(dir: &Path, base_offset: i64, extension: &str) -> PathBuf {
    dir.join(format!("{base_offset:020}.{extension}{SWAP}"))
}

/// `<dir>/<20-digit offset>.<extension>.deleted`.
pub(crate) fn deleted_file(dir: &Path, base_offset: i64, extension: &str) -> PathBuf {
    dir.join(format!("{base_offset:020}.{extension}{DELETED_FILE}"))
}

/// The offset and extension of a segment's or snapshot's file name.
pub(crate) fn parse_segment_file(path: &Path) -> Option<(i64, &str)> {
    let (digits, extension) = path.file_name()?.to_str()?.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, extension))
}

pub(crate) fn partition_dir(root: &Path, topic: &str, partition: i32) -> PathBuf {
    root.join(format!("{topic}-{partition}"))
}

/// `<topic>-<partition>` taken apart; `None` for anything else, deleted partitions included.
pub(crate) fn parse_partition_dir(path: &Path) -> Option<(&str, i32)> {
    let name = path.file_name()?.to_str()?;
    if name.ends_with(DELETED) {
        return None;
    }
    let (topic, partition) = name.rsplit_once('-')?;
    if !partition.bytes().all(|b| b.is_ascii_digit()) || !is_topic_name(topic) {
        return None;
    }
    Some((topic, partition.parse().ok()?))
}

/// Where a deleted partition goes; Kafka cuts the topic so that the name stays within 255 bytes.
pub(crate) fn deleted_dir(root: &Path, topic: &str, partition: i32, unique: u128) -> PathBuf {
    let suffix = format!("-{partition}.{unique:032x}{DELETED}");
    let room = 255usize.saturating_sub(suffix.len());
    root.join(format!("{}{suffix}", &topic[..topic.len().min(room)]))
}

pub(crate) fn is_deleted_dir(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(DELETED) && name.contains('.'))
}

/// Kafka's rule: 1 to 249 of `[a-zA-Z0-9._-]`, neither `.` nor `..`.
pub(crate) fn is_topic_name(topic: &str) -> bool {
    !topic.is_empty()
        && topic.len() <= 249
        && topic != "."
        && topic != ".."
        && topic.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// As Kafka prints ids.
pub(crate) fn print_topic_id(id: &TopicId) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

/// The content of `partition.metadata`.
pub(crate) fn partition_metadata(id: &TopicId) -> String {
    format!("version: 0\ntopic_id: {}\n", print_topic_id(id))
}

pub(crate) fn parse_partition_metadata(text: &[u8]) -> Option<TopicId> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines();
    if lines.next()?.trim() != "version: 0" {
        return None;
    }
    let id = lines.next()?.strip_prefix("topic_id:")?.trim();
    URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn names_go_both_ways() {
        let dir = Path::new("/d");
        let path = segment_file(dir, 170_210, LOG);
        assert_eq!(path, Path::new("/d/00000000000000170210.log"));
        assert_eq!(parse_segment_file(&path), Some((170_210, "log")));
        assert_eq!(parse_segment_file(Path::new("/d/partition.metadata")), None);
        let path = partition_dir(dir, "a-b.c", 7);
        assert_eq!(parse_partition_dir(&path), Some(("a-b.c", 7)));
        let deleted = deleted_dir(dir, &"x".repeat(249), 7, 1);
        assert_eq!(deleted.file_name().unwrap().len(), 255);
        assert!(is_deleted_dir(&deleted));
        assert_eq!(parse_partition_dir(&deleted), None);
        assert!(!is_topic_name("a/b") && !is_topic_name("..") && !is_topic_name(""));
    }

    #[test]
    fn partition_metadata_is_kafkas() {
        let text = partition_metadata(&[0xFF; 16]);
        assert_eq!(text, "version: 0\ntopic_id: _____________________w\n");
        assert_eq!(parse_partition_metadata(text.as_bytes()), Some([0xFF; 16]));
        assert_eq!(parse_partition_metadata(b""), None);
        assert_eq!(parse_partition_metadata(b"version: 0\ntopic_id: x\n"), None);
    }
}
