//! The official Python client (elasticsearch 8.x) indexes, searches and aggregates on the embedded index.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};

use super::Room;
use crate::{
    pipeline::{Part, Pipeline},
    process,
};

const PROGRAM: &str = r#"
import sys, datetime
from elasticsearch import Elasticsearch, helpers, ConflictError, NotFoundError
es = Elasticsearch(sys.argv[1])
info = es.info()
assert info["version"]["number"], info
assert es.ping()
base = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)
actions = [{"_op_type": "create", "_index": "py-logs", "_id": str(n),
            "@timestamp": (base + datetime.timedelta(minutes=n)).isoformat(), "service": {"name": "s%d" % (n % 4)},
            "took": n % 100, "ratio": n / 8, "ok": n % 2 == 0, "message": "request number %d served" % n} for n in range(1000)]
ok, errors = helpers.bulk(es, actions, stats_only=False)
assert ok == 1000 and not errors, (ok, errors)
ok, errors = helpers.bulk(es, actions[:50], raise_on_error=False)
assert ok == 0 and len(errors) == 50 and all(e["create"]["status"] == 409 for e in errors), errors[:1]
es.indices.refresh(index="py-logs")
assert es.count(index="py-logs")["count"] == 1000
got = es.search(index="py-logs", query={"match": {"message": "number 17"}}, size=1)
assert got["hits"]["hits"][0]["_id"] == "17", got
got = es.search(index="py-*", query={"bool": {"filter": [{"term": {"service.name.keyword": "s1"}}, {"range": {"took": {"gte": 50}}}]}}, track_total_hits=True)
assert got["hits"]["total"]["value"] == 120, got["hits"]["total"]
got = es.search(index="py-logs", size=0, aggs={
    "by": {"terms": {"field": "service.name.keyword"}, "aggs": {"t": {"avg": {"field": "took"}}}},
    "hours": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h"}},
    "p": {"percentiles": {"field": "took", "percents": [50, 99]}}, "u": {"cardinality": {"field": "service.name.keyword"}},
    "s": {"stats": {"field": "ratio"}}})
aggs = got["aggregations"]
assert [b["doc_count"] for b in aggs["by"]["buckets"]] == [250] * 4, aggs["by"]
assert len(aggs["hours"]["buckets"]) == 17 and aggs["hours"]["buckets"][0]["doc_count"] == 60, aggs["hours"]["buckets"][:2]
assert aggs["hours"]["buckets"][0]["key"] == int(base.timestamp() * 1000), aggs["hours"]["buckets"][0]
assert aggs["u"]["value"] == 4 and aggs["s"]["max"] == 999 / 8 and 45 <= aggs["p"]["values"]["50.0"] <= 55, aggs
seen, after = set(), None
while True:
    page = es.search(index="py-logs", size=300, sort=[{"@timestamp": "desc"}], search_after=after)["hits"]["hits"]
    if not page: break
    seen.update(h["_id"] for h in page); after = page[-1]["sort"]
assert len(seen) == 1000
es.index(index="py-logs", id="new", document={"message": "one more"}, refresh=True)
assert es.get(index="py-logs", id="new")["_source"]["message"] == "one more"
try:
    es.create(index="py-logs", id="new", document={"message": "again"}); raise SystemExit("no conflict")
except ConflictError: pass
try:
    es.search(index="nowhere"); raise SystemExit("no 404")
except NotFoundError as e: assert e.error == "index_not_found_exception", e
es.delete(index="py-logs", id="new", refresh=True)
assert not es.exists(index="py-logs", id="new")
assert es.cluster.health(wait_for_status="yellow")["status"] in ("green", "yellow")
assert [i["docs.count"] for i in es.cat.indices(index="py-logs", format="json")] == ["1000"]
assert "message" in es.indices.get_mapping(index="py-logs")["py-logs"]["mappings"]["properties"]
es.indices.delete(index="py-logs")
assert not es.indices.exists(index="py-logs")
print("client %s fine" % ".".join(map(str, __import__("elasticsearch").__version__)))
"#;

pub(super) async fn run(room: &Room) -> Result<String> {
    let venv = room.dir.join("venv");
    let python = venv.join("bin/python");
    let minutes = Duration::from_secs(180);
    let (code, _, err) =
        process::run(Path::new("python3"), &["-m", "venv", &venv.to_string_lossy()], &room.dir, minutes).await?;
    ensure!(code == 0, "python3 -m venv: {err}");
    let install = ["-m", "pip", "install", "-q", "elasticsearch>=8.19,<9"];
    let (code, _, err) = process::run(&python, &install, &room.dir, minutes).await?;
    ensure!(code == 0, "pip install elasticsearch: {err}");
    let mut pipeline = Pipeline::new(&room.dir)?;
    pipeline.start(Part::Index).await?;
    let script = room.dir.join("client.py");
    std::fs::write(&script, PROGRAM)?;
    let (code, out, err) =
        process::run(&python, &[&script.to_string_lossy(), &pipeline.index_url], &room.dir, Duration::from_secs(60))
            .await?;
    ensure!(code == 0, "the client failed: {out}{err}");
    pipeline.stop_all().await?;
    Ok(out.trim().to_owned())
}
