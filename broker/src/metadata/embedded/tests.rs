//! The metadata file: what was committed comes back, a torn end is cut, damage inside is refused, an old file shrinks.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeMap, fs};

use logmill_disk::{RealDisk, sim::SimDisk};
use uuid::Uuid;

use super::*;

fn open(dir: &Path) -> Result<EmbeddedStore, Error> {
    EmbeddedStore::open(&RealDisk, dir, || "cluster".to_owned())
}

fn create(name: &str) -> Change {
    let config = BTreeMap::from([("retention.ms".to_owned(), "1000".to_owned())]);
    Change::CreateTopic { name: name.to_owned(), id: Uuid::new_v4(), partitions: 3, config }
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.commit(create("a")).await.unwrap();
    let b = store.commit(create("b")).await.unwrap().topic("b").unwrap().id;
    store.commit(Change::DeleteTopic { id: b }).await.unwrap();
    store.commit(Change::ProducerIds { end: 1000 }).await.unwrap();
    for (broker, value) in [(None, "5"), (Some(1), "6")] {
        let config = BTreeMap::from([("max.connections".to_owned(), value.to_owned())]);
        store.commit(Change::SetBrokerConfig { broker, config }).await.unwrap();
    }
    let before = store.image();
    drop(store);
    let after = open(dir.path()).unwrap().image();
    assert_eq!(before, after);
    assert_eq!(after.next_producer_id, 1000);
    assert_eq!(&*after.cluster_id, "cluster");
    assert!(after.topic("b").is_none() && after.deleted.contains_key(&b));
}

#[tokio::test]
async fn a_change_that_does_not_fit_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.commit(create("a")).await.unwrap();
    let before = fs::read(dir.path().join("logmill.metadata")).unwrap();
    assert!(matches!(store.commit(create("a")).await, Err(MetadataError::Refused(_))));
    let b = store.commit(create("b")).await.unwrap().topic("b").unwrap().id;
    store.commit(Change::DeleteTopic { id: b }).await.unwrap();
    // Until its files are gone the name is taken.
    assert!(store.commit(create("b")).await.is_err());
    store.commit(Change::TopicRemoved { id: b }).await.unwrap();
    store.commit(create("b")).await.unwrap();
    assert!(fs::read(dir.path().join("logmill.metadata")).unwrap().starts_with(&before));
}

#[tokio::test]
async fn every_torn_end_is_cut_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logmill.metadata");
    let store = open(dir.path()).unwrap();
    store.commit(create("a")).await.unwrap();
    let good = fs::read(&path).unwrap();
    store.commit(create("b")).await.unwrap();
    let longer = fs::read(&path).unwrap();
    drop(store);
    for end in good.len()..longer.len() {
        fs::write(&path, &longer[..end]).unwrap();
        let store = open(dir.path()).unwrap();
        assert!(store.image().topic("a").is_some() && store.image().topic("b").is_none());
        drop(store);
        assert_eq!(fs::read(&path).unwrap(), good, "cut at {end}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_changes_until_there_is_room() {
    let disk = SimDisk::new();
    let dir = Path::new("/data");
    disk.create_dir_all(dir).unwrap();
    let store = EmbeddedStore::open(&disk, dir, || "cluster".to_owned()).unwrap();
    store.commit(create("a")).await.unwrap();
    disk.set_capacity(Some(0));
    assert!(matches!(store.commit(create("b")).await, Err(MetadataError::Unwritten(_))));
    assert!(store.image().topic("b").is_none());
    disk.set_capacity(None);
    store.commit(create("b")).await.unwrap();
    drop(store);
    let image = EmbeddedStore::open(&disk, dir, String::new).unwrap().image();
    assert!(image.topic("a").is_some() && image.topic("b").is_some());
}

#[tokio::test]
async fn damage_before_the_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logmill.metadata");
    let store = open(dir.path()).unwrap();
    store.commit(create("a")).await.unwrap();
    store.commit(create("b")).await.unwrap();
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    bytes[HEADER.len() + FRAME_HEADER + 3] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("checksum mismatch at byte 19"), "{error}");
    fs::write(&path, b"something else").unwrap();
    assert!(open(dir.path()).is_err());
}

#[tokio::test]
async fn a_long_history_is_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logmill.metadata");
    let mut changes = vec![Change::ClusterId { id: "c".to_owned() }, create("a")];
    let config = BTreeMap::from([("max.connections".to_owned(), "5".to_owned())]);
    changes.push(Change::SetBrokerConfig { broker: None, config: config.clone() });
    changes.extend((0..1100).map(|end| Change::ProducerIds { end }));
    fs::write(&path, encode_all(&changes).unwrap()).unwrap();
    let long = fs::metadata(&path).unwrap().len();
    let store = open(dir.path()).unwrap();
    assert!(fs::metadata(&path).unwrap().len() < long / 50);
    store.commit(create("b")).await.unwrap();
    drop(store);
    let image = open(dir.path()).unwrap().image();
    assert_eq!(image.next_producer_id, 1099);
    assert!(image.topic("a").is_some() && image.topic("b").is_some());
}
