//! Memory, CPU time and descriptors of this process, read from /proc when the metrics are asked for.

use std::fs;

use prometheus::{
    Counter, Gauge, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// USER_HZ, the unit of times in /proc, which Linux keeps at 100 on the architectures served here.
const TICKS_PER_SECOND: f64 = 100.0;

/// Registers them once per registry.
pub(crate) fn register(registry: &Registry) {
    match ProcessCollector::new() {
        // A second registration in the same registry (`serve` called twice) changes nothing.
        Ok(collector) => drop(registry.register(Box::new(collector))),
        Err(e) => tracing::warn!("no process metrics: {e}"),
    }
}

struct ProcessCollector {
    cpu: Counter,
    resident: Gauge,
    anonymous: Gauge,
    descriptors: Gauge,
}

impl ProcessCollector {
    fn new() -> prometheus::Result<Self> {
        Ok(Self {
            cpu: Counter::new("process_cpu_seconds_total", "User and system CPU time in seconds")?,
            resident: Gauge::new("process_resident_memory_bytes", "Resident memory, mapped files included")?,
            anonymous: Gauge::new("process_anonymous_memory_bytes", "Resident anonymous memory (RssAnon)")?,
            descriptors: Gauge::new("process_open_fds", "Open file descriptors")?,
        })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        [self.cpu.desc(), self.resident.desc(), self.anonymous.desc(), self.descriptors.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().and_then(|s| cpu_seconds(&s)) {
            self.cpu.reset();
            self.cpu.inc_by(seconds);
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        self.resident.set(status_kib(&status, "VmRSS:") * 1024.0);
        self.anonymous.set(status_kib(&status, "RssAnon:") * 1024.0);
        self.descriptors.set(fs::read_dir("/proc/self/fd").map_or(0.0, |d| d.count() as f64));
        [self.cpu.collect(), self.resident.collect(), self.anonymous.collect(), self.descriptors.collect()].concat()
    }
}

/// Fields 14 and 15 of proc_pid_stat(5) in clock ticks; the name before them may hold spaces and parentheses.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn status_kib(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|l| l.strip_prefix(name));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn cpu_time_behind_an_odd_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 300 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_seconds(stat), Some(3.5));
        assert_eq!(cpu_seconds("nonsense"), None);
    }

    #[test]
    fn status_lines() {
        assert_eq!(status_kib("VmRSS:\t  1234 kB\nRssAnon:\t 7 kB\n", "RssAnon:"), 7.0);
        assert_eq!(status_kib("", "RssAnon:"), 0.0);
    }
}
