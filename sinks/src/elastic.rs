//! Elasticsearch and OpenSearch: `_bulk` over the official client.

mod classify;
mod client;
mod encode;
mod fingerprint;
mod hosts;
mod index_name;
mod pool;
mod response;
mod template;
#[cfg(test)]
mod tests;

use ::elasticsearch::http::Method;
use logmill_config::sinks::{self, Version};
use tokio::sync::OnceCell;

use self::{
    encode::ActionLines,
    index_name::IndexTemplate,
    pool::{Pool, Silence},
    template::Templates,
};
use crate::{
    batch::Batch,
    connector::{Connector, Delivery, Encode, Outcome, Outcomes},
    error::SinksError,
    metrics::Metrics,
};

/// The Elasticsearch connector: body in, outcomes out.
pub(crate) struct Elastic {
    pool: Pool,
    config: sinks::Elasticsearch,
    index: IndexTemplate,
    version: Version,
    templates: Option<Templates>,
    /// The index template is there, or is none of ours.
    prepared: OnceCell<()>,
}

impl Elastic {
    /// # Errors
    /// What no waiting can mend: a URL that is none, a certificate that cannot be read.
    pub(crate) fn new(sink: &str, config: &sinks::Elasticsearch, metrics: &Metrics) -> Result<Self, SinksError> {
        let failed = |reason: String| SinksError::Client { sink: sink.to_owned(), output: "elasticsearch", reason };
        Ok(Self {
            pool: Pool::new(sink, config, metrics).map_err(failed)?,
            index: IndexTemplate::parse(&config.index).map_err(|reason| failed(format!("index: {reason}")))?,
            version: config.version,
            templates: config.template.put.then(|| Templates::new(sink, config)),
            prepared: OnceCell::new(),
            config: config.clone(),
        })
    }

    /// Puts the index template, before the first document makes an index.
    async fn prepare(&self) -> Result<(), Outcome> {
        let Some(templates) = &self.templates else { return Ok(()) };
        self.prepared.get_or_try_init(|| templates.put(&self.pool, self.config.timeout)).await.map(|_| ())
    }
}

/// Whether this may stand for an index, with dates and fields.
pub(crate) fn check_index(index: &str) -> Result<(), String> {
    IndexTemplate::parse(index).and_then(|template| template.check())
}

/// # Errors
/// The index's name is no template.
pub(crate) fn encoder(sink: &str, config: &sinks::Elasticsearch) -> Result<Box<dyn Encode>, SinksError> {
    let index = IndexTemplate::parse(&config.index).map_err(|reason| SinksError::Client {
        sink: sink.to_owned(),
        output: "elasticsearch",
        reason: format!("index: {reason}"),
    })?;
    Ok(Box::new(ActionLines::new(config, &index)))
}

impl Connector for Elastic {
    fn encoder(&self) -> Box<dyn Encode> {
        Box::new(ActionLines::new(&self.config, &self.index))
    }

    async fn deliver(&self, batch: &Batch) -> Delivery {
        if let Err(outcome) = self.prepare().await {
            return Outcomes::All(outcome).into();
        }
        let sent = self.pool.send(Method::Post, BULK, NDJSON, Some(batch.body.clone()), self.config.timeout);
        let said = match sent.await {
            Ok(said) => said,
            Err(silence) => return Outcomes::All(silence.into()).into(),
        };
        let outcomes = if (200..300).contains(&said.status) {
            response::outcomes(self.version, &said.body, batch.items.len())
        } else {
            classify::request(said.status, response::request_error(&said.body))
        };
        Delivery { outcomes, retry_after: said.retry_after }
    }
}

/// Of an item only what its outcome is read from: a whole answer would be several times as long, to write there and to
/// read here.
const BULK: &str = "_bulk?filter_path=errors,items.*.status,items.*.error,items.*.failure_store";
const NDJSON: &str = "application/x-ndjson";

impl From<Silence> for Outcome {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Away(reason) => Outcome::Retry { reason },
            Silence::Untrusted(reason) => Outcome::Pause { reason },
        }
    }
}
