//! The destinations a configuration can name, behind the one trait.

use logmill_config::sinks::{Output, Sink};

use crate::{
    batch::Batch,
    connector::{Connector, Delivery, Encode},
    elastic::Elastic,
    error::SinksError,
    webhook::Webhook,
};

pub(crate) enum Destination {
    Elastic(Elastic),
    Webhook(Webhook),
}

impl Destination {
    pub(crate) fn new(sink: &Sink) -> Result<Self, SinksError> {
        Ok(match &sink.output {
            Output::Elasticsearch(config) => Self::Elastic(Elastic::new(&sink.name, config)?),
            Output::Webhook(config) => Self::Webhook(Webhook::new(&sink.name, config)?),
        })
    }
}

impl Connector for Destination {
    fn encoder(&self) -> Box<dyn Encode> {
        match self {
            Self::Elastic(elastic) => elastic.encoder(),
            Self::Webhook(webhook) => webhook.encoder(),
        }
    }

    async fn deliver(&self, batch: &Batch) -> Delivery {
        match self {
            Self::Elastic(elastic) => elastic.deliver(batch).await,
            Self::Webhook(webhook) => webhook.deliver(batch).await,
        }
    }
}
