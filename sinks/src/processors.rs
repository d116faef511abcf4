//! What a sink does to records between reading and delivering, in this order: `decode`, `when`, `transform`, `enrich`. Opened
//! once for a sink, whether it delivers, shows what it would deliver, or does so once more.

use logmill_config::sinks::{Condition, Decode, Sink};

use crate::{
    connector::Encode, enrich::Enrichment, error::SinksError, intake::Preparer, metrics::Metrics, transform::Transform,
};

#[derive(Clone)]
pub(crate) struct Processors {
    sink: String,
    decode: Decode,
    when: Option<Condition>,
    transform: Option<Transform>,
    enrichment: Option<Enrichment>,
}

impl Processors {
    /// # Errors
    /// The program does not compile, or a database is missing or is none.
    pub(crate) fn open(sink: &Sink, metrics: &Metrics) -> Result<Self, SinksError> {
        Ok(Self {
            sink: sink.name.clone(),
            decode: sink.decode,
            when: sink.when.clone(),
            transform: Transform::open(sink, metrics)?,
            enrichment: Enrichment::open(sink, metrics)?,
        })
    }

    /// For one reader.
    pub(crate) fn preparer(&self, encoder: Box<dyn Encode>) -> Preparer {
        Preparer::new(&self.sink, self.when.clone(), encoder)
            .with_decode(self.decode)
            .with_transformer(self.transform.as_ref().map(Transform::transformer))
            .with_enricher(self.enrichment.as_ref().map(Enrichment::enricher))
    }
}
