//! Our sinks into an endpoint that takes everything, and into a real node beside a bare loader of the same bodies.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use logmill_e2e::{
    clock, generate,
    peers::script,
    ports,
    process::{self, Process, binary},
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
        let group = &format!("{}-{}", reader.name(), self.groups.fetch_add(1, Ordering::Relaxed));
        let begin = clock::now();
        let mut process = match reader {
            Reader::Sinks => self.sinks(dir.path(), group, url)?,
            Reader::Rsyslog => self.rsyslog(dir.path(), group, url)?,
        };
        let peak = sample::PeakMemory::watch(process.id());
        loop {
            let delivered = there().await?;
            if delivered >= self.documents {
                break;
            }
            ensure!(process.ended()?.is_none(), "{} ended: {}", reader.name(), process.tail());
            ensure!(begin.elapsed() < PATIENCE, "not all delivered after {PATIENCE:?}: {}", process.tail());
            // Being asked costs a node time that the bare loader's run does not take from it: seldom until the end is near.
            let left = (self.documents - delivered) as f64 / delivered.max(1) as f64;
            let wait = (begin.elapsed().as_secs_f64() * left / 2.0).clamp(0.02, 1.0);
            tokio::time::sleep(Duration::from_secs_f64(wait)).await;
        }
        let seconds = begin.elapsed().as_secs_f64();
        let run = Run { seconds, cpu_seconds: sample::cpu_seconds(process.id())?, peak_mib: peak.mib() };
        progress(&format!("{group}: {:.0} documents/s", self.documents as f64 / seconds));
        process.stop().await?;
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
}

/// Who brings records from the broker to a node.
#[derive(Clone, Copy)]
enum Reader {
    Sinks,
    Rsyslog,
}

impl Reader {
    fn name(self) -> &'static str {
        match self {
            Self::Sinks => "logmill-sinks",
            Self::Rsyslog => "rsyslog",
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
    seconds: f64,
    cpu_seconds: f64,
    peak_mib: f64,
}

fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    runs.swap_remove(runs.len() / 2)
}

pub async fn run(report: &mut Report, documents: u64, rounds: usize) -> Result<()> {
    process::run(&script("rsyslog"), &["install"], Path::new("/tmp"), Duration::from_secs(120)).await?;
    let records = Records::make(documents - documents % FILES as u64).await?;
    let mut quiet = Quiet::new();
    null_endpoint(report, &records, rounds, &mut quiet).await?;
    report.write()?;
    drop(records);
    // A JVM's runs differ more.
    real_node(report, documents, rounds.max(5), &mut quiet).await?;
    report.write()
}

async fn null_endpoint(report: &mut Report, records: &Records, rounds: usize, quiet: &mut Quiet) -> Result<()> {
    let documents = records.documents;
    report.section(
        "Sinks beside rsyslog, into a null endpoint",
        &format!(
            "{documents} records, as the agent makes them of JSON lines of 200 bytes, are in the broker; the reader starts as a new\n\
             group, and the time ends when an endpoint that takes everything has taken them all. The sinks read each record, find its\n\
             index by its date and give it its id; rsyslog (imkafka, omelasticsearch) passes it on as it is. Median of {rounds}."
        ),
        &["reader", "documents/s", "CPU-s per M documents", "peak MiB"],
    );
    let (mut sinks, mut rsyslog) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (reader, runs) in [(Reader::Sinks, &mut sinks), (Reader::Rsyslog, &mut rsyslog)] {
            let run = quiet.run(async || {
                let endpoint = NullBulk::start(false).await?;
                records.deliver(reader, &endpoint.url, async || Ok(endpoint.documents())).await
            });
            runs.push(run.await?);
        }
    }
    for (reader, runs) in [(Reader::Sinks, sinks), (Reader::Rsyslog, rsyslog)] {
        let run = median(runs);
        report.row(&[
            reader.name().into(),
            format!("{:.0}", documents as f64 / run.seconds),
            format!("{:.2}", run.cpu_seconds / (documents as f64 / 1e6)),
            format!("{:.0}", run.peak_mib),
        ]);
    }
    report.note(&quiet.told());
    Ok(())
}

async fn real_node(report: &mut Report, documents: u64, rounds: usize, quiet: &mut Quiet) -> Result<()> {
    let records = Records::make(documents - documents % FILES as u64).await?;
    let documents = records.documents;
    let bodies = records.bodies().await?;
    let node = SearchNode::peer("elasticsearch").await?;
    report.section(
        "Sinks beside a bare loader and rsyslog, into Elasticsearch",
        &format!(
            "{documents} such records into Elasticsearch, by the sinks and by rsyslog (from exec on), and by a loader that sends the\n\
             bodies of the sinks, prepared, over four connections; in turns on a warmed node, each time into empty indices; the time ends\n\
             when the node has indexed them all. Median of {rounds}."
        ),
        &["reader", "documents/s", "× the bare loader", "CPU-s per M documents", "peak MiB"],
    );
    node.load(&bodies).await?;
    node.holds(documents).await?;
    let (mut bare, mut sinks, mut rsyslog) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(
            quiet
                .run(async || {
                    node.clear().await?;
                    let begin = clock::now();
                    node.load(&bodies).await?;
                    let run = Run { seconds: begin.elapsed().as_secs_f64(), cpu_seconds: 0.0, peak_mib: 0.0 };
                    node.holds(documents).await?;
                    progress(&format!("bare loader: {:.0} documents/s", documents as f64 / run.seconds));
                    Ok(run)
                })
                .await?,
        );
        for (reader, runs) in [(Reader::Sinks, &mut sinks), (Reader::Rsyslog, &mut rsyslog)] {
            let run = quiet.run(async || {
                node.clear().await?;
                let run = records.deliver(reader, &node.url, async || node.indexed().await).await?;
                node.holds(documents).await?;
                Ok(run)
            });
            runs.push(run.await?);
        }
    }
    let bare = median(bare);
    let mut chart = Bars::new("Into Elasticsearch, documents/s");
    let rate = |run: &Run| documents as f64 / run.seconds;
    report.row(&["bare loader".into(), format!("{:.0}", rate(&bare)), "1.00".into(), String::new(), String::new()]);
    chart.bar("bare loader", "documents/s", rate(&bare));
    for (reader, runs) in [(Reader::Sinks, sinks), (Reader::Rsyslog, rsyslog)] {
        let run = median(runs);
        report.row(&[
            reader.name().into(),
            format!("{:.0}", rate(&run)),
            format!("{:.2}", bare.seconds / run.seconds),
            format!("{:.2}", run.cpu_seconds / (documents as f64 / 1e6)),
            format!("{:.0}", run.peak_mib),
        ]);
        chart.bar(reader.name(), "documents/s", rate(&run));
    }
    report.note(&quiet.told());
    report.plot("sinks-elasticsearch", &chart);
    Ok(())
}
