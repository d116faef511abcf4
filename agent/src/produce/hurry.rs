//! Has librdkafka send what is queued without waiting for more.
//!
//! A line that comes alone gains nothing from lingering, and how long librdkafka lingers is fixed when a client starts.
//! Only while a flush is under way does it send at once. A flush waits for acknowledgements, so a thread of its own
//! does that, and not for longer than lingering would have taken.

use std::{
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use rdkafka::{
    bindings::rd_kafka_flush,
    producer::{BaseProducer, Producer, ProducerContext},
};

pub(super) struct Hurry {
    asked: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Hurry {
    pub(super) fn start<C: ProducerContext + 'static>(
        producer: Arc<BaseProducer<C>>,
        at_most: Duration,
    ) -> std::io::Result<Self> {
        // One more request than the one that is being served: what was queued before it is sent by it.
        let (asked, requests) = sync_channel(1);
        let at_most = i32::try_from(at_most.as_millis()).unwrap_or(i32::MAX);
        let thread = std::thread::Builder::new().name("agent-hurry".into()).spawn(move || {
            while requests.recv().is_ok() {
                // SAFETY: the pointer is the client's own, which `producer` keeps alive; librdkafka allows flushing from
                // any thread. Reports are events here (rdkafka's choice), so that this serves no queue and calls nothing.
                unsafe { rd_kafka_flush(producer.client().native_ptr(), at_most) };
            }
        })?;
        Ok(Self { asked: Some(asked), thread: Some(thread) })
    }

    pub(super) fn ask(&self) {
        // One that waits is enough.
        let _ = self.asked.as_ref().map(|asked| asked.try_send(()));
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        self.asked = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
