//! Appends sample lines at a rate.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;

use super::{Kind, line::Lines};

/// What to write.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    /// Time of the first line, milliseconds since 1970.
    pub(crate) first_ms: i64,
    /// Without end when none.
    pub(crate) count: Option<u64>,
    /// Lines per second; unlimited when none.
    pub(crate) rate: Option<u32>,
    /// Goes into request ids, so that every line says where it was written.
    pub(crate) name: String,
}

/// Ticks per second when a rate is kept.
const TICKS: u32 = 20;

/// Opens a file for appending, with its directory.
pub(crate) fn append_to(path: &Path) -> anyhow::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let open = File::options().create(true).append(true).open(path);
    open.with_context(|| format!("cannot write to {}", path.display()))
}

/// Writes until the count is reached or `wait` says no. Every write ends with whole lines.
pub(crate) fn write(plan: &Plan, mut out: impl Write, wait: impl Fn(Duration) -> bool) -> io::Result<()> {
    let mut lines = Lines::new(plan.kind, plan.seed, plan.first_ms, plan.name.clone(), plan.rate);
    let mut buffer = String::new();
    let mut left = plan.count.unwrap_or(u64::MAX);
    let (mut tick, mut written) = (0u64, 0u64);
    while left > 0 {
        let burst = match plan.rate {
            // What should have been written by this tick, less what was: no rate is rounded away.
            Some(rate) => {
                tick += 1;
                (tick.saturating_mul(u64::from(rate)) / u64::from(TICKS)).saturating_sub(written)
            }
            None => 1000,
        };
        let burst = burst.min(left);
        buffer.clear();
        for _ in 0..burst {
            lines.push(&mut buffer);
        }
        out.write_all(buffer.as_bytes())?;
        out.flush()?;
        (left, written) = (left - burst, written + burst);
        if plan.rate.is_some() && left > 0 && !wait(Duration::from_secs(1) / TICKS) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn plan(kind: Kind, count: u64, rate: Option<u32>) -> Plan {
        Plan { kind, seed: 7, first_ms: 1_700_000_000_000, count: Some(count), rate, name: "a.log".into() }
    }

    fn text(plan: &Plan) -> String {
        let mut out = Vec::new();
        write(plan, &mut out, |_| true).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_lines() {
        for kind in [Kind::App, Kind::Behavior, Kind::Nginx] {
            let a = text(&plan(kind, 50, None));
            assert_eq!(a, text(&plan(kind, 50, None)));
            assert_eq!(a.lines().count(), 50);
            assert_ne!(a, text(&Plan { seed: 8, ..plan(kind, 50, None) }));
        }
    }

    #[test]
    fn a_rate_is_kept_and_the_count_is_exact() {
        for rate in [1, 7, 3000] {
            let waited = std::cell::Cell::new(0u32);
            let mut out = Vec::new();
            let wait = |_| {
                waited.set(waited.get() + 1);
                true
            };
            write(&plan(Kind::Nginx, u64::from(rate) * 2, Some(rate)), &mut out, wait).unwrap();
            assert_eq!(out.iter().filter(|b| **b == b'\n').count() as u32, rate * 2);
            assert!((38..=40).contains(&waited.get()), "{} ticks for two seconds", waited.get());
        }
    }

    #[test]
    fn behavior_is_json_with_clicks() {
        let text = text(&plan(Kind::Behavior, 500, None));
        let clicks = text.lines().filter(|l| {
            let event: serde_json::Value = serde_json::from_str(l).unwrap();
            assert!(event["@timestamp"].is_string());
            event["event"] == "click"
        });
        assert!(clicks.count() > 50);
    }

    #[test]
    fn request_ids_say_file_and_number() {
        let text = text(&plan(Kind::App, 300, None));
        for (number, line) in text.lines().enumerate() {
            assert!(line.contains(&format!("a.log-{number}")), "{line}");
        }
        assert!(text.lines().any(|l| l.starts_with('{')) && text.lines().any(|l| !l.starts_with('{')));
    }
}
