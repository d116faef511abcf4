//! The destinations a configuration can name, behind the one trait.

use logmill_config::sinks::{Output, Sink};

use crate::{
    batch::Batch,
    connector::{Connector, Delivery, Encode},
    elastic::{self, Elastic},
    error::SinksError,
    file::{self, File},
    metrics::Metrics,
    webhook::{self, Webhook},
};

pub(crate) enum Destination {
    Elastic(Box<Elastic>),
    Webhook(Box<Webhook>),
    File(File),
}

impl Destination {
    pub(crate) fn new(sink: &Sink, metrics: &Metrics) -> Result<Self, SinksError> {
        Ok(match &sink.output {
            Output::Elasticsearch(config) => Self::Elastic(Box::new(Elastic::new(&sink.name, config, metrics)?)),
            Output::Webhook(config) => Self::Webhook(Box::new(Webhook::new(&sink.name, config)?)),
            Output::File(config) => Self::File(File::new(&sink.name, config)?),
        })
    }
}

/// What writes heads for `sink`, without anything being opened or asked.
pub(crate) fn encoder(sink: &Sink) -> Result<Box<dyn Encode>, SinksError> {
    match &sink.output {
        Output::Elasticsearch(config) => elastic::encoder(&sink.name, config),
        Output::Webhook(config) => Ok(webhook::encoder(config)),
        Output::File(_) => Ok(file::encoder()),
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

    fn look(&self) {
        match self {
            Self::Elastic(_) | Self::Webhook(_) => {}
            Self::File(file) => file.look(),
        }
    }

    async fn close(&self) {
        match self {
            Self::Elastic(_) | Self::Webhook(_) => {}
            Self::File(file) => file.close().await,
        }
    }
}
