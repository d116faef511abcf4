//! Files: a line of JSON per event, synced before anything is committed.
//!
//! One process writes one file, in the order of each partition. What is delivered twice (after a kill) is written twice.

mod compress;
mod recover;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use logmill_config::sinks;
use parking_lot::Mutex;

use self::writer::Writer;
use crate::{
    batch::Batch,
    clock,
    connector::{Class, Connector, Delivery, Encode, Head, Outcome, Outcomes},
    error::SinksError,
    event::Event,
};

pub(crate) struct File {
    writer: Arc<Mutex<Writer>>,
}

impl File {
    /// Opens nothing yet: a directory that is missing or full is waited for.
    ///
    /// # Errors
    /// Another process writes the file.
    pub(crate) fn new(sink: &str, config: &sinks::File) -> Result<Self, SinksError> {
        let writer = Writer::new(config).map_err(|e| SinksError::Client {
            sink: sink.to_owned(),
            output: "file",
            reason: format!("{}: {e}", config.path.display()),
        })?;
        Ok(Self { writer: Arc::new(Mutex::new(writer)) })
    }
}

pub(crate) fn encoder() -> Box<dyn Encode> {
    Box::new(Lines)
}

impl Connector for File {
    fn encoder(&self) -> Box<dyn Encode> {
        encoder()
    }

    async fn deliver(&self, batch: &Batch) -> Delivery {
        // Heads are empty, so that the body is the lines.
        let (writer, lines) = (self.writer.clone(), batch.body.clone());
        let written = tokio::task::spawn_blocking(move || {
            let mut writer = writer.lock();
            let written = writer.append(&lines, clock::wall());
            written.map_err(|e| format!("{}: {e}", writer.path().display()))
        });
        let outcome = match written.await {
            Ok(Ok(())) => Outcome::Done { duplicate: false },
            Ok(Err(reason)) => Outcome::Retry { reason },
            Err(e) => Outcome::Retry { reason: format!("writing was broken off: {e}") },
        };
        Outcomes::All(outcome).into()
    }

    fn look(&self) {
        let writer = self.writer.clone();
        tokio::task::spawn_blocking(move || {
            // Being written to now: then the next line looks.
            if let Some(mut writer) = writer.try_lock()
                && let Err(e) = writer.set_aside_when_old(clock::wall())
            {
                tracing::debug!("{} cannot be set aside yet: {e}", writer.path().display());
            }
        });
    }

    async fn close(&self) {
        let writer = self.writer.clone();
        // Fails only if the runtime ends, and the process with it.
        let _ = tokio::task::spawn_blocking(move || writer.lock().close()).await;
    }
}

/// A document's line needs nothing before it.
struct Lines;

impl Encode for Lines {
    fn fields(&self) -> Vec<String> {
        Vec::new()
    }

    fn head(&mut self, event: &Event<'_>, _head: &mut Vec<u8>) -> Result<Head, (Class, String)> {
        Ok(Head::plain(event.record.identity()))
    }
}
