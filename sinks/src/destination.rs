//! The destinations a configuration can name, behind the one trait.

use logmill_config::sinks::{Output, Sink};

use crate::{
    batch::Batch,
    connector::{Connector, Delivery, Encode},
    elastic::Elastic,
    error::SinksError,
    file::File,
    webhook::Webhook,
};

pub(crate) enum Destination {
    Elastic(Elastic),
    Webhook(Box<Webhook>),
    File(File),
}

impl Destination {
    pub(crate) fn new(sink: &Sink) -> Result<Self, SinksError> {
        Ok(match &sink.output {
            Output::Elasticsearch(config) => Self::Elastic(Elastic::new(&sink.name, config)?),
            Output::Webhook(config) => Self::Webhook(Box::new(Webhook::new(&sink.name, config)?)),
            Output::File(config) => Self::File(File::new(&sink.name, config)?),
        })
    }
}

impl Connector for Destination {
    fn encoder(&self) -> Box<dyn Encode> {
        match self {
            Self::Elastic(elastic) => elastic.encoder(),
            Self::Webhook(webhook) => webhook.encoder(),
            Self::File(file) => file.encoder(),
        }
    }

    async fn deliver(&self, batch: &Batch) -> Delivery {
        match self {
            Self::Elastic(elastic) => elastic.deliver(batch).await,
            Self::Webhook(webhook) => webhook.deliver(batch).await,
            Self::File(file) => file.deliver(batch).await,
        }
    }
}
