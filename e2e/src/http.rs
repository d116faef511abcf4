//! Small HTTP requests to daemons: JSON, text, metrics.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

fn client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy();
    // What verifies certificates is under test, this is not.
    Ok(client.danger_accept_invalid_certs(true).build()?)
}

pub async fn text(url: &str) -> Result<String> {
    let response = client()?.get(url).send().await.with_context(|| format!("GET {url}"))?;
    let status = response.status();
    let body = response.text().await?;
    ensure!(status.is_success(), "GET {url}: {status}: {}", body.chars().take(4_000).collect::<String>());
    Ok(body)
}

pub async fn json(method: &str, url: &str, body: Option<&Value>) -> Result<Value> {
    let mut request = client()?.request(method.parse()?, url);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let response = request.send().await.with_context(|| format!("{method} {url}"))?;
    let status = response.status();
    let body = response.text().await?;
    ensure!(status.is_success(), "{method} {url}: {status}: {}", body.chars().take(300).collect::<String>());
    Ok(serde_json::from_str(&body)?)
}

/// NDJSON to `_bulk`; gives status and body, whatever they are.
pub async fn bulk(base: &str, body: String) -> Result<(u16, Value)> {
    let response = client()?
        .post(format!("{base}/_bulk"))
        .header("content-type", "application/x-ndjson")
        .body(body)
        .send()
        .await?;
    let status = response.status().as_u16();
    Ok((status, serde_json::from_str(&response.text().await?)?))
}

/// Sum of a metric over all its label sets that contain every one of `labels` (`name="value"`).
pub fn metric(exposition: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let mut sum = None;
    for line in exposition.lines().filter(|l| !l.starts_with('#')) {
        let Some((key, value)) = line.rsplit_once(' ') else { continue };
        let (metric, set) = key.split_once('{').unwrap_or((key, ""));
        if metric == name && labels.iter().all(|l| set.contains(l)) {
            *sum.get_or_insert(0.0) += value.parse::<f64>().unwrap_or(0.0);
        }
    }
    sum
}
