//! The agent's metrics. The ledger's go on where the checkpoint says, so that they survive restarts.

use prometheus::{Counter, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::ledger::{Ledger, Reason};

pub(crate) struct Metrics {
    read: IntCounter,
    acknowledged: IntCounter,
    dropped: IntCounterVec,
    in_flight: IntGauge,
    in_flight_bytes: IntGauge,
    bytes_read: IntCounter,
    bytes_lost: IntCounter,
    hole_bytes: IntCounter,
    files: IntGauge,
    open_files: IntGauge,
    deleted_bytes: IntGauge,
    cpu_wait: Counter,
    pub(crate) producer_restarts: IntCounter,
    pub(crate) refused: IntGaugeVec,
    pub(crate) unreadable: IntCounter,
    /// By reason.
    pub(crate) topic_otherwise: IntCounterVec,
    /// By input and outcome.
    pub(crate) transformed: IntCounterVec,
    /// By input, as those below.
    pub(crate) spool_bytes: IntGaugeVec,
    pub(crate) spooled_lines: IntCounterVec,
    pub(crate) spool_waits: IntCounterVec,
    pub(crate) journal_restarts: IntCounterVec,
}

/// Totals as the engine knows them.
pub(crate) struct Counts {
    pub(crate) read: u64,
    pub(crate) ledger: Ledger,
    pub(crate) files: usize,
    pub(crate) open_files: usize,
    pub(crate) bytes_read: u64,
    pub(crate) hole_bytes: u64,
    pub(crate) in_flight_bytes: u64,
    pub(crate) deleted_bytes: u64,
    pub(crate) cpu_waited: f64,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(format!("logmill_agent_{name}"), help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(format!("logmill_agent_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let dropped = IntCounterVec::new(
            Opts::new("logmill_agent_lines_dropped_total", "Lines that did not become a record, by reason"),
            &["reason"],
        )?;
        registry.register(Box::new(dropped.clone()))?;
        let topic_otherwise = IntCounterVec::new(
            Opts::new(
                "logmill_agent_topic_otherwise_total",
                "Records whose fields gave no topic (missing, too_long, too_many) and that went to topic_otherwise",
            ),
            &["reason"],
        )?;
        registry.register(Box::new(topic_otherwise.clone()))?;
        let refused = IntGaugeVec::new(
            Opts::new("logmill_agent_input_refused", "1 while Kafka refuses the records of an input and it stands"),
            &["input"],
        )?;
        registry.register(Box::new(refused.clone()))?;
        let transformed = IntCounterVec::new(
            Opts::new(
                "logmill_agent_transformed_total",
                "Records that an input's program changed, aborted or failed with, by input and outcome",
            ),
            &["input", "outcome"],
        )?;
        registry.register(Box::new(transformed.clone()))?;
        let by_input = |name: &str, help: &str| -> prometheus::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(format!("logmill_agent_{name}"), help), &["input"])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let spool_bytes = IntGaugeVec::new(
            Opts::new("logmill_agent_spool_bytes", "Bytes that an input's spool holds on disk"),
            &["input"],
        )?;
        registry.register(Box::new(spool_bytes.clone()))?;
        let cpu_wait =
            Counter::new("logmill_agent_cpu_wait_seconds_total", "How long reading waited because of max_cpu_percent")?;
        registry.register(Box::new(cpu_wait.clone()))?;
        Ok(Self {
            cpu_wait,
            read: counter("lines_read_total", "Lines read; equals acknowledged plus dropped plus in flight")?,
            acknowledged: counter(
                "lines_acknowledged_total",
                "Lines acknowledged by Kafka, as the checkpoint counts them",
            )?,
            dropped,
            in_flight: gauge("lines_in_flight", "Lines read and not yet acknowledged or dropped")?,
            in_flight_bytes: gauge("in_flight_bytes", "Byte budget held by unacknowledged records")?,
            bytes_read: counter("bytes_read_total", "Bytes of lines read since the start")?,
            bytes_lost: counter(
                "bytes_lost_total",
                "Estimated bytes truncated away, or of deleted files that were given up, before they were read",
            )?,
            hole_bytes: counter("nul_bytes_skipped_total", "NUL characters where lines would begin, passed over")?,
            files: gauge("files", "Files known")?,
            open_files: gauge("open_files", "Files open")?,
            deleted_bytes: gauge(
                "deleted_bytes",
                "Disk space of deleted files that are kept open until they are read",
            )?,
            producer_restarts: counter("producer_restarts_total", "New producers after a fatal error")?,
            refused,
            topic_otherwise,
            transformed,
            spool_bytes,
            spooled_lines: by_input("spooled_lines_total", "Lines and journal entries that came into a spool")?,
            spool_waits: by_input("spool_waits_total", "How often an input waited because its spool was full")?,
            journal_restarts: by_input("journal_restarts_total", "Ends of journalctl that nobody had asked for")?,
            unreadable: counter("unreadable_total", "Attempts to read a file or directory that failed")?,
        })
    }

    pub(crate) fn update(&self, counts: &Counts) {
        let raise = |counter: &IntCounter, to: u64| counter.inc_by(to.saturating_sub(counter.get()));
        raise(&self.read, counts.read);
        raise(&self.acknowledged, counts.ledger.acknowledged);
        for reason in Reason::ALL {
            raise(&self.dropped.with_label_values(&[reason.name()]), counts.ledger.dropped[reason as usize]);
        }
        raise(&self.bytes_read, counts.bytes_read);
        raise(&self.bytes_lost, counts.ledger.bytes_lost);
        raise(&self.hole_bytes, counts.hole_bytes);
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.in_flight.set(signed(counts.read.saturating_sub(counts.ledger.finished())));
        self.in_flight_bytes.set(signed(counts.in_flight_bytes));
        self.cpu_wait.inc_by((counts.cpu_waited - self.cpu_wait.get()).max(0.0));
        self.files.set(signed(counts.files as u64));
        self.open_files.set(signed(counts.open_files as u64));
        self.deleted_bytes.set(signed(counts.deleted_bytes));
    }
}
