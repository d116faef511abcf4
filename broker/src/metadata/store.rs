//! The one door to metadata: read the current image, propose a change and wait until it is durable.

use std::{future::Future, pin::Pin, sync::Arc};

use super::{
    change::{Change, Refusal},
    image::Image,
};

pub(crate) type Committed<'a> = Pin<Box<dyn Future<Output = Result<Arc<Image>, MetadataError>> + Send + 'a>>;

/// Implementations: an embedded file today, a replicated log later.
pub(crate) trait MetadataStore: Send + Sync + 'static {
    /// The latest committed state.
    fn image(&self) -> Arc<Image>;

    /// Checks the change against the latest state, makes it durable and publishes it; gives the image that has it.
    fn commit(&self, change: Change) -> Committed<'_>;
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the metadata file could not be written: {0}; restart the broker once the disk is well")]
    Storage(String),
    /// As on a full disk: nothing of the change is there, and another may be.
    #[error("the metadata file could not be written: {0}; nothing was changed")]
    Unwritten(String),
}
