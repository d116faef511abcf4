//! What is added to events (`enrich`): the rest of an event stays byte for byte as it is.

mod database;
mod geoip;
mod insert;
mod recent;
mod user_agent;

use logmill_config::sinks::{Sink, UserAgent};
use prometheus::IntCounterVec;

use self::{
    geoip::{Addresses, Databases},
    user_agent::UserAgents,
};
use crate::{error::SinksError, metrics::Metrics};

/// What one sink adds from.
#[derive(Clone)]
pub(crate) struct Enrichment {
    geoip: Option<Databases>,
    user_agent: Option<UserAgent>,
    sink: String,
    counts: IntCounterVec,
}

/// Adds to the events of one reader.
pub(crate) struct Enricher {
    geoip: Option<Addresses>,
    user_agent: Option<UserAgents>,
    sink: String,
    counts: IntCounterVec,
}

impl Enrichment {
    /// `None` where the sink asks for none.
    ///
    /// # Errors
    /// A database is missing or is none.
    pub(crate) fn open(sink: &Sink, metrics: &Metrics) -> Result<Option<Self>, SinksError> {
        let Some(config) = &sink.enrich else { return Ok(None) };
        let geoip = config.geoip.as_ref().map(Databases::open).transpose().map_err(|reason| SinksError::Client {
            sink: sink.name.clone(),
            output: "enrich.geoip",
            reason,
        })?;
        let (user_agent, counts) = (config.user_agent.clone(), metrics.enriched.clone());
        Ok(Some(Self { geoip, user_agent, sink: sink.name.clone(), counts }))
    }

    pub(crate) fn enricher(&self) -> Enricher {
        Enricher {
            geoip: self.geoip.as_ref().map(Databases::addresses),
            user_agent: self.user_agent.as_ref().map(UserAgents::new),
            sink: self.sink.clone(),
            counts: self.counts.clone(),
        }
    }
}

impl Enricher {
    /// `value`, one JSON object, with all that is known; `None` where nothing is to be added.
    pub(crate) fn add(&mut self, value: &[u8]) -> Option<Vec<u8>> {
        let located = self.geoip.as_mut().map(|geoip| geoip.add(value));
        let located = located.and_then(|added| counted(&self.counts, &self.sink, "geoip", added));
        let so_far = located.as_deref().unwrap_or(value);
        let told = self.user_agent.as_mut().map(|agents| agents.add(so_far));
        let told = told.and_then(|added| counted(&self.counts, &self.sink, "user_agent", added));
        told.or(located)
    }
}

fn counted(counts: &IntCounterVec, sink: &str, by: &str, added: Result<Vec<u8>, &str>) -> Option<Vec<u8>> {
    counts.with_label_values(&[sink, by, *added.as_ref().err().unwrap_or(&"added")]).inc();
    added.ok()
}

/// The path of the object that a field is in.
fn beside(field: &str) -> Vec<String> {
    let parent = field.rsplit_once('.').map_or("", |(parent, _)| parent);
    parent.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
pub(crate) mod tests;
