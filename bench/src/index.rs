//! The embedded index beside Elasticsearch and OpenSearch: the same bodies from the same loader, the same searches.

use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use logmill_e2e::{clock, sample};
use serde_json::{Value, json};

use crate::{plot::Bars, quiet::Quiet, report::Report, search_node::SearchNode, sinks::Records};

const SEARCHES: usize = 200;

pub async fn run(report: &mut Report, documents: u64) -> Result<()> {
    let records = Records::make(documents - documents % 4).await?;
    let documents = records.documents;
    let bodies = records.bodies().await?;
    drop(records);
    let (mut rows, mut indexing, mut searching) = (Vec::new(), Quiet::new(), Quiet::new());
    let mut times: Vec<Vec<Histogram<u64>>> = Vec::new();
    for kind in ["logmill", "elasticsearch", "opensearch"] {
        let mut node = if kind == "logmill" { SearchNode::embedded().await? } else { SearchNode::peer(kind).await? };
        // A warm-up: a JVM that just started is no measure.
        node.load(&bodies[..bodies.len() / 4]).await?;
        let pid = node.pid()?;
        let loaded = indexing.run(async || {
            node.clear().await?;
            let (cpu, peak, begin) = (sample::cpu_seconds(pid)?, sample::PeakMemory::watch(pid), clock::now());
            node.load(&bodies).await?;
            node.holds(documents).await?;
            let seconds = begin.elapsed().as_secs_f64();
            Ok((seconds, (sample::cpu_seconds(pid)? - cpu) / (documents as f64 / 1e6), peak.mib()))
        });
        let (seconds, cpu, peak) = loaded.await?;
        times.push(searching.run(async || searches(&node.url).await).await?);
        rows.push((node.name, documents as f64 / seconds, cpu, peak, node.disk_bytes()? as f64 / 1e6));
    }
    report.section(
        "Embedded index beside Elasticsearch and OpenSearch: indexing",
        &format!(
            "{documents} documents in bodies that the sinks made, from a loader with four connections, until all are counted. Every\n\
             document is synced to the write-ahead log before its answer, as in the peers. Both peers have a heap of 1 GiB."
        ),
        &["node", "documents/s", "× logmill-index", "CPU-s per M documents", "peak RssAnon MiB", "MB on disk"],
    );
    let mut chart = Bars::new("Indexing, documents/s");
    let own = rows.first().map_or(0.0, |row| row.1);
    for (name, rate, cpu, peak, disk) in rows {
        report.row(&[
            name.into(),
            format!("{rate:.0}"),
            format!("{:.2}", rate / own),
            format!("{cpu:.1}"),
            format!("{peak:.0}"),
            format!("{disk:.0}"),
        ]);
        chart.bar(name, "documents/s", rate);
    }
    report.note(&indexing.told());
    report.plot("index-bulk", &chart);
    report.section(
        "Embedded index beside Elasticsearch and OpenSearch: searching",
        &format!("{SEARCHES} times each over the same documents, one after the other: p50 / p99 in ms."),
        &["search", "logmill-index", "Elasticsearch", "OpenSearch"],
    );
    for (at, (search, _)) in bodies_of_searches().iter().enumerate() {
        let mut row = vec![(*search).to_owned()];
        row.extend(times.iter().map(|all| {
            let ms = |quantile| all[at].value_at_quantile(quantile) as f64 / 1e3;
            format!("{:.1} / {:.1}", ms(0.5), ms(0.99))
        }));
        report.row(&row);
    }
    report.note(&searching.told());
    Ok(())
}

fn bodies_of_searches() -> [(&'static str, Value); 5] {
    [
        ("newest 10", json!({ "size": 10, "sort": [{ "@timestamp": "desc" }] })),
        ("one session by its word", json!({ "size": 10, "query": { "match": { "message": "SESSION" } } })),
        ("a range of a number, counted", json!({ "size": 0, "query": { "range": { "took_ms": { "gte": 900 } } } })),
        (
            "documents each second",
            json!({ "size": 0, "aggs": { "t": { "date_histogram": { "field": "@timestamp", "fixed_interval": "1s" } } } }),
        ),
        ("average of a number", json!({ "size": 0, "aggs": { "a": { "avg": { "field": "took_ms" } } } })),
    ]
}

async fn searches(url: &str) -> Result<Vec<Histogram<u64>>> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut all = Vec::new();
    for (_, body) in bodies_of_searches() {
        let mut times = Histogram::<u64>::new(3)?;
        for round in 0..SEARCHES + SEARCHES / 10 {
            // Another word each time, so that no cache answers.
            let word = format!("{:016x}", (round as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let body = body.to_string().replace("SESSION", &word);
            let request = client.post(format!("{url}/bench-*/_search?request_cache=false"));
            let begin = clock::now();
            let answer = request.header("content-type", "application/json").body(body).send().await?;
            let answer = answer.error_for_status()?.bytes().await?;
            if round >= SEARCHES / 10 {
                times.record(u64::try_from(begin.elapsed().as_micros())?)?;
            }
            let answer: Value = serde_json::from_slice(&answer)?;
            answer["hits"]["total"]["value"].as_u64().context("no hits in the answer")?;
        }
        all.push(times);
    }
    Ok(all)
}
