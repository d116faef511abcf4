//! The official Python client (elasticsearch 8.x) on the embedded index; a client that knows nothing but version 0 of Kafka's protocol on the broker.

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

/// Every request in version 0, messages of magic 0, plain and compressed.
const VERSION_0: &str = r#"
import gzip, socket, struct, sys, time, zlib
host, port = sys.argv[1].rsplit(":", 1)
sock = socket.create_connection((host, int(port)), 10)
text = lambda s: struct.pack(">h", len(s)) + s.encode()
blob = lambda b: struct.pack(">i", -1) if b is None else struct.pack(">i", len(b)) + b
count = 0
def call(api, body):
    global count
    count += 1
    frame = struct.pack(">hhi", api, 0, count) + text("old") + body
    sock.sendall(struct.pack(">i", len(frame)) + frame)
    def read(n):
        data = b""
        while len(data) < n:
            more = sock.recv(n - len(data))
            assert more, "closed by the broker"
            data += more
        return data
    answer = read(struct.unpack(">i", read(4))[0])
    assert struct.unpack(">i", answer[:4])[0] == count
    return Answer(answer[4:])
class Answer:
    def __init__(self, data): self.data, self.at = data, 0
    def take(self, kind):
        value = struct.unpack_from(">" + kind, self.data, self.at)[0]
        self.at += struct.calcsize(">" + kind)
        return value
    def bytes(self, n):
        self.at += n
        return self.data[self.at - n:self.at]
    def text(self): return self.bytes(self.take("h")).decode()
    def array(self, read): return [read() for _ in range(self.take("i"))]
def message(value, key=None, attributes=0, offset=0):
    body = struct.pack(">bb", 0, attributes) + blob(key) + blob(value)
    entry = struct.pack(">I", zlib.crc32(body)) + body
    return struct.pack(">qi", offset, len(entry)) + entry
def messages(data):
    found, at = [], 0
    while at + 12 <= len(data):
        offset, size = struct.unpack_from(">qi", data, at)
        if at + 12 + size > len(data): break
        crc, magic, attributes, key = struct.unpack_from(">Ibbi", data, at + 12)
        assert zlib.crc32(data[at + 16:at + 12 + size]) == crc and magic == 0 and attributes == 0
        start = at + 22 + max(key, 0)
        length = struct.unpack_from(">i", data, start)[0]
        found.append((offset, None if key < 0 else data[at + 22:start], data[start + 4:start + 4 + length]))
        at += 12 + size
    return found
one = struct.pack(">i", 1)
topic = text("v0-topic")
def leader():
    a = call(3, one + topic)
    a.array(lambda: (a.take("i"), a.text(), a.take("i")))
    return a.array(lambda: (a.take("h"), a.text(), a.array(lambda: (a.take("h"), a.take("i"), a.take("i"), a.array(lambda: a.take("i")), a.array(lambda: a.take("i"))))))
for _ in range(100):
    found = leader()
    if found[0][0] == 0 and found[0][2] and found[0][2][0][0] == 0: break
    time.sleep(0.1)
else: raise SystemExit("no leader: %r" % found)
def produce(data):
    a = call(0, struct.pack(">hi", -1, 10000) + one + topic + one + struct.pack(">i", 0) + blob(data))
    return a.array(lambda: (a.text(), a.array(lambda: (a.take("i"), a.take("h"), a.take("q")))))[0][1][0]
assert produce(b"".join(message(b"plain %d" % n, b"k%d" % n if n % 2 else None) for n in range(100))) == (0, 0, 0)
inner = b"".join(message(b"zipped %d" % n, offset=n) for n in range(100))
assert produce(message(gzip.compress(inner), attributes=1)) == (0, 0, 100)
broken = bytearray(message(b"x")); broken[-1] ^= 1
assert produce(bytes(broken))[1] == 2
def offset(at):
    a = call(2, struct.pack(">i", -1) + one + topic + one + struct.pack(">iqi", 0, at, 1))
    return a.array(lambda: (a.text(), a.array(lambda: (a.take("i"), a.take("h"), a.array(lambda: a.take("q"))))))[0][1][0]
assert offset(-1) == (0, 0, [200]) and offset(-2) == (0, 0, [0]), (offset(-1), offset(-2))
def fetch(at, size):
    a = call(1, struct.pack(">iii", -1, 100, 1) + one + topic + one + struct.pack(">iqi", 0, at, size))
    return a.array(lambda: (a.text(), a.array(lambda: (a.take("i"), a.take("h"), a.take("q"), a.bytes(a.take("i"))))))[0][1][0]
all = []
while len(all) < 200:
    _, error, end, data = fetch(len(all), 1500)
    assert (error, end) == (0, 200), (error, end)
    more = messages(data)
    assert more and more[0][0] == len(all), (len(all), more[:1])
    all += more
assert [m[2] for m in all] == [b"plain %d" % n for n in range(100)] + [b"zipped %d" % n for n in range(100)]
assert all[1][1] == b"k1" and all[0][1] is None
assert fetch(201, 100)[1] == 1
print("version 0 fine")
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
    pipeline.start(Part::Broker).await?;
    let script = room.dir.join("version_0.py");
    std::fs::write(&script, VERSION_0)?;
    let (code, old, err) =
        process::run(&python, &[&script.to_string_lossy(), &pipeline.brokers], &room.dir, Duration::from_secs(60))
            .await?;
    ensure!(code == 0, "the version-0 client failed: {old}{err}");
    pipeline.stop_all().await?;
    Ok(format!("{}, {}", out.trim(), old.trim()))
}
