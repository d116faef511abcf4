//! Reads Prometheus text: only counters and gauges with plain labels, which is all a ledger needs.

use std::collections::BTreeMap;

use anyhow::Context as _;

/// One line: a name, its labels, its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// Everything that was read, from any number of processes.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Sample>);

impl Samples {
    pub(crate) fn add(&mut self, text: String) {
        self.0.extend(text.lines().filter_map(parse_line));
    }

    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |s| s.name == name)
    }

    /// The sum over all processes and labels; none when nobody has it.
    pub(crate) fn sum(&self, name: &str) -> Option<u64> {
        let mut found = self.named(name).peekable();
        found.peek()?;
        Some(found.map(|s| s.count()).sum())
    }
}

impl Sample {
    /// As a count of things: never negative, never a fraction.
    pub(crate) fn count(&self) -> u64 {
        if self.value > 0.0 { self.value.round() as u64 } else { 0 }
    }
}

/// The text of `url`, which may be the process's address or end with /metrics.
pub(crate) async fn fetch(http: &reqwest::Client, url: &str) -> anyhow::Result<String> {
    let base = url.trim_end_matches('/').trim_end_matches("/metrics");
    let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
    let what = || format!("cannot read the metrics of {url}");
    let answer = http.get(format!("{base}/metrics")).send().await.with_context(what)?;
    answer.error_for_status().with_context(what)?.text().await.with_context(what)
}

fn parse_line(line: &str) -> Option<Sample> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (head, value) = match line.rfind('}') {
        Some(end) => (line.get(..end)?, line.get(end + 1..)?),
        None => line.split_once(' ')?,
    };
    let value = value.split_whitespace().next()?.parse().ok()?;
    let (name, labels) = head.split_once('{').unwrap_or((head, ""));
    Some(Sample { name: name.to_owned(), labels: parse_labels(labels), value })
}

/// `a="b",c="d \" e"`
fn parse_labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in after.char_indices() {
            match (c, escaped) {
                ('\\', false) => escaped = true,
                ('"', false) => {
                    end = Some(at + 1);
                    break;
                }
                ('n', true) => {
                    value.push('\n');
                    escaped = false;
                }
                (c, _) => {
                    value.push(c);
                    escaped = false;
                }
            }
        }
        labels.insert(name.trim_start_matches([',', ' ']).to_owned(), value);
        match end.and_then(|end| after.get(end..)) {
            Some(after) => rest = after,
            None => break,
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn prometheus_text() {
        let mut samples = Samples::default();
        samples.add(
            "# HELP x y\nx 3\nx{a=\"b, {c}\",d=\"e\\\"f\"} 4 1700000000\ny 1e3\nnonsense\nz{q=\"broken 1\n".into(),
        );
        assert_eq!(samples.sum("x"), Some(7));
        assert_eq!(samples.sum("y"), Some(1000));
        assert_eq!(samples.sum("none"), None);
        let labelled = samples.named("x").nth(1).unwrap();
        assert_eq!(labelled.labels["a"], "b, {c}");
        assert_eq!(labelled.labels["d"], "e\"f");
    }
}
