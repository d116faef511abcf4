//! What is counted of requests, by API: how many, how long until the response is ready, and where the time goes.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use logmill_protocol::ApiKey;
use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};

/// Cheap to clone: the counters are shared.
#[derive(Clone)]
pub(crate) struct Requests(Arc<Shared>);

struct Shared {
    count: IntCounterVec,
    seconds: HistogramVec,
    stages: CounterVec,
    /// By API key, so that a request looks up no label.
    apis: Vec<(ApiKey, OnceLock<Arc<ApiMetrics>>)>,
}

/// Of one API.
pub(crate) struct ApiMetrics {
    pub(crate) count: IntCounter,
    /// From the whole request being read to its response being ready.
    seconds: Histogram,
    local: Counter,
    remote: Counter,
    response_queue: Counter,
    response_send: Counter,
}

impl Requests {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let count = IntCounterVec::new(Opts::new("logmill_broker_requests_total", "Requests by API"), &["api"])?;
        let buckets = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
        let text = "From a request being read to its response being ready";
        let opts = HistogramOpts::new("logmill_broker_request_seconds", text).buckets(buckets);
        let seconds = HistogramVec::new(opts, &["api"])?;
        let text = "Time of requests by stage: local (the broker's own work), remote (waiting for a commit, for records or for a group's members), \
                    response_queue (waiting for earlier responses), response_send";
        let stages = CounterVec::new(Opts::new("logmill_broker_request_stage_seconds_total", text), &["api", "stage"])?;
        registry.register(Box::new(count.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(stages.clone()))?;
        let apis = ApiKey::ALL.iter().map(|key| (*key, OnceLock::new())).collect();
        Ok(Self(Arc::new(Shared { count, seconds, stages, apis })))
    }

    pub(crate) fn of(&self, api: ApiKey) -> Arc<ApiMetrics> {
        let slot = self.0.apis.binary_search_by_key(&api, |(key, _)| *key).ok().and_then(|at| self.0.apis.get(at));
        match slot {
            Some((_, metrics)) => metrics.get_or_init(|| Arc::new(self.make(api))).clone(),
            None => Arc::new(self.make(api)),
        }
    }

    fn make(&self, api: ApiKey) -> ApiMetrics {
        let name = api.name();
        let stage = |stage: &str| self.0.stages.with_label_values(&[name, stage]);
        ApiMetrics {
            count: self.0.count.with_label_values(&[name]),
            seconds: self.0.seconds.with_label_values(&[name]),
            local: stage("local"),
            remote: stage("remote"),
            response_queue: stage("response_queue"),
            response_send: stage("response_send"),
        }
    }
}

impl ApiMetrics {
    /// A response is ready after so much work and waiting.
    pub(crate) fn ready(&self, local: Duration, remote: Duration) {
        self.seconds.observe((local + remote).as_secs_f64());
        self.local.inc_by(local.as_secs_f64());
        self.remote.inc_by(remote.as_secs_f64());
    }

    /// A response that was ready waited so long for earlier ones.
    pub(crate) fn queued(&self, time: Duration) {
        self.response_queue.inc_by(time.as_secs_f64());
    }

    /// A response was written.
    pub(crate) fn sent(&self, time: Duration) {
        self.response_send.inc_by(time.as_secs_f64());
    }
}
