//! Producer ids: handed out from blocks that were made durable first, so that no id is ever given twice.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{
    change::Change,
    store::{MetadataError, MetadataStore},
};

/// Ids reserved by one durable change, as Kafka's block size.
const BLOCK: i64 = 1000;

pub(crate) struct ProducerIds {
    metadata: Arc<dyn MetadataStore>,
    block: Mutex<std::ops::Range<i64>>,
}

impl ProducerIds {
    pub(crate) fn new(metadata: Arc<dyn MetadataStore>) -> Self {
        Self { metadata, block: Mutex::new(0..0) }
    }

    /// A producer id that nobody has had.
    pub(crate) async fn next(&self) -> Result<i64, MetadataError> {
        let mut block = self.block.lock().await;
        if let Some(id) = block.next() {
            return Ok(id);
        }
        let start = self.metadata.image().next_producer_id;
        let end =
            start.checked_add(BLOCK).ok_or_else(|| MetadataError::Storage("producer ids are used up".to_owned()))?;
        self.metadata.commit(Change::ProducerIds { end }).await?;
        *block = start..end;
        block.next().ok_or_else(|| MetadataError::Storage("producer ids are used up".to_owned()))
    }
}
