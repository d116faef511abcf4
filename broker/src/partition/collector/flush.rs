//! How long group commits take, as a histogram: Kafka's LogFlushRateAndTimeMs.

use logmill_log::{COMMIT_SECONDS, StatsSnapshot};
use prometheus::{
    core::Desc,
    proto::{Bucket, Histogram, Metric, MetricFamily, MetricType},
};

pub(super) struct FlushTime(Desc);

const NAME: &str = "logmill_broker_log_flush_seconds";
const HELP: &str = "Time of a group commit";

impl FlushTime {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self(Desc::new(NAME.to_owned(), HELP.to_owned(), Vec::new(), Default::default())?))
    }

    pub(super) fn desc(&self) -> &Desc {
        &self.0
    }

    pub(super) fn collect(&self, stats: &StatsSnapshot) -> MetricFamily {
        let mut count = 0;
        let buckets = COMMIT_SECONDS.iter().zip(stats.commit_times).map(|(bound, commits)| {
            count += commits;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(count);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(stats.commits);
        histogram.set_sample_sum(stats.commit_time_sum.as_secs_f64());
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        let mut family = MetricFamily::default();
        family.set_name(NAME.to_owned());
        family.set_help(HELP.to_owned());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        family
    }
}
