//! What a start makes good: a topic whose deletion was decided, but not carried out, before the broker ended.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeMap, path::Path};

use logmill_config::ConfigFile;

use super::*;
use crate::metadata::image::Image;

async fn started(dir: &Path) -> (RunningBroker, Context) {
    let text = format!("data_dir: {}\nlisteners: [ {{ listen: \"127.0.0.1:0\" }} ]", dir.display());
    let config = BrokerConfig::parse("broker.yaml", &text).unwrap();
    let context = Context::new();
    (RunningBroker::start(config, context.clone()).await.unwrap(), context)
}

async fn stopped((running, context): (RunningBroker, Context)) {
    context.stop.cancel();
    running.wait().await.unwrap();
}

fn image(dir: &Path) -> Arc<Image> {
    EmbeddedStore::open(&RealDisk, dir, || unreachable!("the broker made it")).unwrap().image()
}

#[tokio::test]
async fn a_deletion_that_was_interrupted_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    stopped(started(dir.path()).await).await;
    let (gone, kept) = (Uuid::new_v4(), Uuid::new_v4());
    {
        let store = EmbeddedStore::open(&RealDisk, dir.path(), || unreachable!("the broker made it")).unwrap();
        for (name, id) in [("gone", gone), ("kept", kept)] {
            let change = Change::CreateTopic { name: name.to_owned(), id, partitions: 1, config: BTreeMap::new() };
            store.commit(change).await.unwrap();
        }
        let data_dir = logmill_log::DataDir::open(dir.path(), Options::default()).unwrap();
        for (name, id) in [("gone", gone), ("kept", kept)] {
            data_dir.open_log(name, 0, id.into_bytes(), Arc::default()).unwrap();
        }
        data_dir.close().unwrap();
        // Here the broker ended.
        store.commit(Change::DeleteTopic { id: gone }).await.unwrap();
    }
    assert!(dir.path().join("gone-0").is_dir() && image(dir.path()).deleted.contains_key(&gone));
    stopped(started(dir.path()).await).await;
    assert!(!dir.path().join("gone-0").exists() && dir.path().join("kept-0").is_dir());
    let image = image(dir.path());
    assert!(image.deleted.is_empty() && image.topic("gone").is_none() && image.topic("kept").is_some());
}
