//! Our sinks and their peers into an endpoint that takes everything, and into a real node beside a bare loader of the same bodies.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use logmill_e2e::{
    clock, generate,
    peers::{self, script},
    ports,
    process::{Process, binary},
    sample,
};

use crate::{
    broker::{
        client,
        server::{Kind, Server},
    },
    ends::Ends,
    null_bulk::{Bulk, NullBulk},
    plot::Bars,
    quiet::Quiet,
    report::{Report, progress},
    search_node::SearchNode,
};

const TOPIC: &str = "documents";
const PARTITIONS: i32 = 4;
const FILES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(300);
/// Without growth for so long, a peer is taken to deliver no more; a JVM starts within it.
const STALLED: Duration = Duration::from_secs(20);

/// Loads before a node counts as warm: at most so many, and as long as one is quicker by so much than all before it.
const MOST_WARMING: usize = 12;
const QUICKER: f64 = 1.03;

/// A topic of records as the agent makes them.
pub struct Records {
    pub server: Server,
    pub documents: u64,
    groups: AtomicU32,
    _dir: tempfile::TempDir,
}

impl Records {
    pub async fn make(documents: u64) -> Result<Self> {
        let (server, _) = Server::start(Kind::OURS_CACHE).await?;
        client::create_topic(&server.brokers, TOPIC, PARTITIONS).await?;
        let dir = tempfile::tempdir()?;
        for file in 0..FILES {
            let (mut out, now) = (Vec::new(), clock::epoch_ms());
            for seq in 0..documents / FILES as u64 {
                generate::line(&mut out, file, seq, generate::Dates::Now, now);
            }
            std::fs::write(dir.path().join(generate::file_name(file)), out)?;
        }
        let agent = agent(dir.path(), &server.brokers)?;
        let ends = Ends::of(&server.brokers, TOPIC, PARTITIONS)?;
        clock::until("the topic to be full", Duration::from_secs(120), Duration::from_millis(50), || async {
            Ok((ends.records()? == documents).then_some(()))
        })
        .await?;
        drop(agent);
        Ok(Self { server, documents, groups: AtomicU32::new(0), _dir: dir })
    }

    /// The bodies that the sinks make of them.
    pub async fn bodies(&self) -> Result<Vec<Bulk>> {
        let endpoint = NullBulk::start(true).await?;
        self.deliver(Reader::Sinks, &endpoint.url, async || Ok(endpoint.documents())).await?;
        Ok(endpoint.kept())
    }

    /// Runs a reader as a new group until what it delivers to is told to have it all.
    async fn deliver(&self, reader: Reader, url: &str, there: impl AsyncFn() -> Result<u64>) -> Result<Run> {
        let dir = tempfile::tempdir()?;
        let group = &format!("bench-{}", self.groups.fetch_add(1, Ordering::Relaxed));
        let begin = clock::now();
        let mut process = match reader {
            Reader::Sinks => self.sinks(dir.path(), group, url)?,
            Reader::Rsyslog => self.rsyslog(dir.path(), group, url)?,
            Reader::Camel => self.camel(dir.path(), group, url)?,
        };
        let peak = sample::PeakMemory::watch(process.id());
        let (mut delivered, mut grown, mut cpu_seconds) = (0, begin, 0.0);
        loop {
            let now = there().await?;
            if now > delivered {
                (delivered, grown) = (now, clock::now());
            }
            if delivered >= self.documents {
                break;
            }
            let ended = process.ended()?.is_some();
            let over = ended || grown.elapsed() > STALLED || begin.elapsed() > PATIENCE;
            // A peer that does not deliver everything is told of in the table.
            ensure!(!over || reader != Reader::Sinks, "{delivered} delivered, then no more: {}", process.tail());
            ensure!(!over || delivered > 0, "{} delivered nothing: {}", reader.name(), process.tail());
            if over {
                break;
            }
            cpu_seconds = sample::cpu_seconds(process.id())?;
            // Being asked costs a node time that the bare loader's run does not take from it: seldom until the end is near.
            let left = (self.documents - delivered) as f64 / delivered.max(1) as f64;
            let wait = (begin.elapsed().as_secs_f64() * left / 2.0).clamp(0.02, 1.0);
            tokio::time::sleep(Duration::from_secs_f64(wait)).await;
        }
        if process.ended()?.is_none() {
            cpu_seconds = sample::cpu_seconds(process.id())?;
            // A JVM ends with a code of its own.
            if reader == Reader::Camel { process.kill()? } else { process.stop().await? }
        }
        let lost = self.documents.saturating_sub(delivered);
        let run = Run {
            documents: delivered,
            seconds: (grown - begin).as_secs_f64(),
            cpu_seconds,
            peak_mib: peak.mib(),
            lost,
        };
        progress(&format!("{}: {:.0} documents/s", reader.name(), run.rate()));
        Ok(run)
    }

    fn sinks(&self, dir: &Path, group: &str, url: &str) -> Result<Process> {
        let yaml = dir.join("sinks.yaml");
        let text = format!(
            "kafka: {{ brokers: [\"{}\"] }}\nmetrics: \"127.0.0.1:{}\"\nsinks:\n  - name: bench\n    topics: [{TOPIC}]\n    \
             group: {group}\n    elasticsearch: {{ hosts: [\"{url}\"], index: \"bench-%Y.%m.%d\" }}\n    \
             dead_letters: {{ topic: {TOPIC}.dead }}\n",
            self.server.brokers,
            ports::free()?
        );
        std::fs::write(&yaml, text)?;
        let args = ["--config", &*yaml.to_string_lossy()];
        Process::spawn("sinks", &binary("logmill-sinks")?, &args, dir, &dir.join("sinks.out"))
    }

    /// imkafka → omelasticsearch: the record as it is, without an id, in bodies of at most 10 MB.
    fn rsyslog(&self, dir: &Path, group: &str, url: &str) -> Result<Process> {
        let (host, port) = url.trim_start_matches("http://").split_once(':').context("no port in the URL")?;
        let conf = format!(
            "global(workDirectory=\"{0}\" maxMessageSize=\"64k\")\n\
             module(load=\"imkafka\")\nmodule(load=\"omelasticsearch\")\n\
             template(name=\"record\" type=\"string\" string=\"%msg%\")\n\
             input(type=\"imkafka\" topic=\"{TOPIC}\" broker=[\"{1}\"] consumergroup=\"{group}\" ruleset=\"out\"\n  \
             confParam=[\"auto.offset.reset=earliest\"])\n\
             ruleset(name=\"out\" queue.type=\"FixedArray\" queue.size=\"200000\" queue.dequeueBatchSize=\"4096\"\n  \
             queue.timeoutEnqueue=\"60000\" queue.workerThreads=\"2\") {{\n  \
             action(type=\"omelasticsearch\" server=\"{host}\" serverport=\"{port}\" template=\"record\" searchIndex=\"bench-rsyslog\"\n    \
             searchType=\"\" bulkmode=\"on\" maxbytes=\"10m\" action.resumeRetryCount=\"-1\")\n}}",
            dir.display(),
            self.server.brokers
        );
        let path = dir.join("rsyslog.conf");
        std::fs::write(&path, conf)?;
        let (conf, pid) = (path.to_string_lossy().into_owned(), dir.join("pid").to_string_lossy().into_owned());
        Process::spawn("rsyslog", &script("rsyslog"), &["run", &conf, &pid], dir, &dir.join("rsyslog.out"))
    }

    /// The record as it is under the id of its line, in the index of its day; what is committed was answered.
    fn camel(&self, dir: &Path, group: &str, url: &str) -> Result<Process> {
        let args = ["run", &self.server.brokers, TOPIC, group, url.trim_start_matches("http://")];
        Process::spawn("camel", &script("camel"), &args, dir, &dir.join("camel.out"))
    }
}

/// Who brings records from the broker to a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Sinks,
    Rsyslog,
    Camel,
}

impl Reader {
    const ALL: [Self; 3] = [Self::Sinks, Self::Rsyslog, Self::Camel];

    fn name(self) -> &'static str {
        match self {
            Self::Sinks => "logmill-sinks",
            Self::Rsyslog => "rsyslog",
            Self::Camel => "Apache Camel",
        }
    }

    /// Of peers that do not bear on the ratio that counts, or take as long as all the others together, fewer.
    fn rounds(self, most: usize) -> usize {
        match self {
            Self::Sinks => most,
            Self::Rsyslog => most.min(3),
            Self::Camel => 1,
        }
    }
}

fn agent(dir: &Path, brokers: &str) -> Result<Process> {
    let yaml = dir.join("agent.yaml");
    let text = format!(
        "state_dir: {0}/state\nkafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{1}\"\ninputs:\n  \
         - {{ name: app, include: [\"{0}/*.log\"], topic: {TOPIC}, key: file }}\n",
        dir.display(),
        ports::free()?
    );
    std::fs::write(&yaml, text)?;
    Process::spawn(
        "agent",
        &binary("logmill-agent")?,
        &["--config", &yaml.to_string_lossy()],
        dir,
        &dir.join("agent.out"),
    )
}

struct Run {
    documents: u64,
    seconds: f64,
    cpu_seconds: f64,
    peak_mib: f64,
    lost: u64,
}

impl Run {
    fn rate(&self) -> f64 {
        self.documents as f64 / self.seconds
    }

    /// What stands in a row behind its speed.
    fn cells(&self) -> [String; 3] {
        let cpu = self.cpu_seconds / (self.documents as f64 / 1e6);
        [format!("{cpu:.2}"), format!("{:.0}", self.peak_mib), self.lost.to_string()]
    }
}

/// The middle one by speed, with the worst loss of all.
fn median(mut runs: Vec<Run>) -> Run {
    let lost = runs.iter().map(|run| run.lost).max().unwrap_or(0);
    runs.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    Run { lost, ..runs.swap_remove(runs.len() / 2) }
}

async fn install_peers() -> Result<()> {
    peers::install("rsyslog", Duration::from_secs(120)).await?;
    peers::install("camel", Duration::from_secs(300)).await
}

pub async fn null_endpoint(report: &mut Report, documents: u64, rounds: usize) -> Result<()> {
    install_peers().await?;
    let records = Records::make(documents - documents % FILES as u64).await?;
    let (documents, mut quiet) = (records.documents, Quiet::new());
    report.section(
        "Sinks beside rsyslog and Apache Camel, into a null endpoint",
        &format!(
            "{documents} records, as the agent makes them of JSON lines of 200 bytes, are in the broker; the reader starts as a new\n\
             group, and the time, from exec on, ends when an endpoint that takes everything has taken them all. The sinks read each\n\
             record, find its index by its date and give it its id; rsyslog (imkafka, omelasticsearch) passes it on as it is; Apache\n\
             Camel (kafka in batches, elasticsearch with bulk) passes it on as it is, too, with its id and an index by its day. Median\n\
             of {rounds}; of the documents lost, the most."
        ),
        &["reader", "documents/s", "CPU-s per M documents", "peak MiB", "lost"],
    );
    let mut runs = Reader::ALL.map(|_| Vec::new());
    for _ in 0..rounds {
        for (reader, runs) in Reader::ALL.into_iter().zip(&mut runs) {
            let run = quiet.run(async || {
                let endpoint = NullBulk::start(false).await?;
                records.deliver(reader, &endpoint.url, async || Ok(endpoint.documents())).await
            });
            runs.push(run.await?);
        }
    }
    for (reader, runs) in Reader::ALL.into_iter().zip(runs) {
        let run = median(runs);
        let [cpu, peak, lost] = run.cells();
        report.row(&[reader.name().into(), format!("{:.0}", run.rate()), cpu, peak, lost]);
    }
    report.note(&quiet.told());
    report.write()
}

/// A JVM compiles what it runs often: loads until two more are not quicker any longer.
async fn warm(node: &SearchNode, bodies: &[Bulk], documents: u64) -> Result<()> {
    let (mut best, mut steady) = (0.0, 0);
    for _ in 0..MOST_WARMING {
        node.calm().await?;
        let rate = load(node, bodies, documents).await?.rate();
        steady = if rate < best * QUICKER { steady + 1 } else { 0 };
        if steady == 2 {
            break;
        }
        best = rate.max(best);
    }
    Ok(())
}

/// The bare loader's run into empty indices.
async fn load(node: &SearchNode, bodies: &[Bulk], documents: u64) -> Result<Run> {
    let begin = clock::now();
    node.load(bodies).await?;
    let run = Run { documents, seconds: begin.elapsed().as_secs_f64(), cpu_seconds: 0.0, peak_mib: 0.0, lost: 0 };
    node.holds(documents).await?;
    progress(&format!("bare loader: {:.0} documents/s", run.rate()));
    Ok(run)
}

pub async fn real_node(report: &mut Report, documents: u64, rounds: usize) -> Result<()> {
    install_peers().await?;
    let records = Records::make(documents - documents % FILES as u64).await?;
    let (documents, mut quiet) = (records.documents, Quiet::new());
    let bodies = records.bodies().await?;
    // A JVM's runs differ more.
    let most = rounds.max(9);
    let node = SearchNode::peer("elasticsearch").await?;
    report.section(
        "Sinks beside a bare loader, rsyslog and Apache Camel, into Elasticsearch",
        &format!(
            "{documents} such records into Elasticsearch, by the sinks, rsyslog and Apache Camel (from exec on), and by a loader that\n\
             sends the bodies of the sinks, prepared, over four connections; in turns on a warmed node that is let come to rest before\n\
             each run, each time into empty indices under the sinks' template; the time ends when the node has indexed them all. Median\n\
             of {most}, of rsyslog {}, of Apache Camel {}; of the documents lost, the most.",
            Reader::Rsyslog.rounds(most),
            Reader::Camel.rounds(most)
        ),
        &["reader", "documents/s", "× the bare loader", "CPU-s per M documents", "peak MiB", "lost"],
    );
    // The sinks put their index template, so that everybody's documents get the same mapping.
    records.deliver(Reader::Sinks, &node.url, async || node.indexed().await).await?;
    warm(&node, &bodies, documents).await?;
    let (mut bare, mut runs) = (Vec::new(), Reader::ALL.map(|_| Vec::new()));
    for round in 0..most {
        let loaded = quiet.run(async || {
            node.calm().await?;
            load(&node, &bodies, documents).await
        });
        bare.push(loaded.await?);
        for (reader, runs) in Reader::ALL.into_iter().zip(&mut runs) {
            if round >= reader.rounds(most) {
                continue;
            }
            let run = quiet.run(async || {
                node.calm().await?;
                let mut run = records.deliver(reader, &node.url, async || node.indexed().await).await?;
                if reader == Reader::Sinks {
                    node.holds(documents).await?;
                } else {
                    run.lost = documents.saturating_sub(node.count().await?);
                }
                Ok(run)
            });
            runs.push(run.await?);
        }
    }
    let bare = median(bare).rate();
    let mut chart = Bars::new("Into Elasticsearch, documents/s");
    let (empty, rate) = (String::new, |rate: f64| format!("{rate:.0}"));
    report.row(&["bare loader".into(), rate(bare), "1.00".into(), empty(), empty(), empty()]);
    chart.bar("bare loader", "documents/s", bare);
    for (reader, runs) in Reader::ALL.into_iter().zip(runs) {
        let run = median(runs);
        let [cpu, peak, lost] = run.cells();
        report.row(&[reader.name().into(), rate(run.rate()), format!("{:.2}", run.rate() / bare), cpu, peak, lost]);
        chart.bar(reader.name(), "documents/s", run.rate());
    }
    report.note(&quiet.told());
    report.plot("sinks-elasticsearch", &chart);
    report.write()
}
