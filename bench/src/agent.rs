//! Our agent beside rsyslog (imfile → omkafka) and syslog-ng (wildcard-file → kafka-c): the same files into the same broker.

use std::{fmt::Write as _, io::Write as _, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use logmill_e2e::{
    clock, generate,
    peers::{self, script},
    process::{Process, binary},
    sample,
};
use rdkafka::{Message, Offset};

use crate::{
    broker::{
        client,
        server::{Kind, Server},
    },
    ends::Ends,
    plot::Bars,
    quiet::Quiet,
    report::{Report, progress},
};

const FILES: usize = 20;
const PARTITIONS: i32 = 4;
const TOPIC: &str = "lines";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Agent,
    Rsyslog,
    SyslogNg,
}

/// What is read, by whom, with how many cores.
#[derive(Clone, Copy)]
struct Cell {
    reader: Reader,
    json: bool,
    cores: usize,
}

impl Cell {
    fn name(self) -> String {
        let who = match self.reader {
            Reader::Agent => "logmill-agent",
            Reader::Rsyslog => "rsyslog",
            Reader::SyslogNg => "syslog-ng",
        };
        format!(
            "{who}, {} on {}",
            if self.json { "JSON" } else { "raw" },
            if self.cores == 1 { "one core" } else { "two" }
        )
    }
}

pub async fn run(report: &mut Report, lines: u64, rounds: usize) -> Result<()> {
    for peer in ["rsyslog", "syslog-ng"] {
        peers::install(peer, Duration::from_secs(120)).await?;
    }
    let mut quiet = Quiet::new();
    throughput(report, lines, rounds, &mut quiet).await?;
    report.write()?;
    idle(report, &mut quiet).await?;
    report.write()
}

async fn throughput(report: &mut Report, lines: u64, rounds: usize, quiet: &mut Quiet) -> Result<()> {
    report.section(
        "Agent beside rsyslog and syslog-ng",
        &format!(
            "{lines} lines of about 200 bytes in {FILES} files are there at the start; the time ends when our broker (page cache,\n\
             4 partitions, lz4) holds as many records. On one core, the reader has one (taskset) and the broker the other. rsyslog\n\
             (imfile, omkafka) and syslog-ng (wildcard-file, kafka-c) pass lines on unparsed; the agent makes a record of fields,\n\
             an id and a time of each. In turns, median of {rounds}; of the lines lost, the most."
        ),
        &["reader", "lines/s", "× rsyslog", "MB/s", "CPU-s/GB", "peak MiB", "lines lost"],
    );
    let cell = |reader, json, cores| Cell { reader, json, cores };
    let cells = [
        cell(Reader::Agent, false, 1),
        cell(Reader::Rsyslog, false, 1),
        cell(Reader::SyslogNg, false, 1),
        cell(Reader::Agent, true, 1),
        cell(Reader::Agent, false, 2),
        cell(Reader::Rsyslog, false, 2),
        cell(Reader::SyslogNg, false, 2),
        cell(Reader::Agent, true, 2),
    ];
    let logs = tempfile::tempdir()?;
    let mut runs: Vec<Vec<Run>> = cells.iter().map(|_| Vec::new()).collect();
    for json in [false, true] {
        let bytes = write(&logs.path().join(if json { "json" } else { "raw" }), json, lines)?;
        for _ in 0..rounds {
            for (cell, runs) in cells.iter().zip(&mut runs).filter(|(cell, _)| cell.json == json) {
                let run = quiet.run(async || once(*cell, logs.path(), lines, bytes).await).await?;
                progress(&format!("{}: {:.0} lines/s", cell.name(), run.lines_per_second));
                runs.push(run);
            }
        }
    }
    let medians: Vec<(Run, u64)> = runs
        .into_iter()
        .map(|mut runs| {
            runs.sort_by(|a, b| a.lines_per_second.total_cmp(&b.lines_per_second));
            let lost = runs.iter().map(|run| run.lost).max().unwrap_or(0);
            (runs.swap_remove(runs.len() / 2), lost)
        })
        .collect();
    let mut chart = Bars::new("Agent: lines a second into a broker");
    for (cell, (run, lost)) in cells.iter().zip(&medians) {
        let peer =
            cells.iter().zip(&medians).find(|(peer, _)| peer.reader == Reader::Rsyslog && peer.cores == cell.cores);
        let ratio = peer
            .filter(|_| cell.reader != Reader::Rsyslog)
            .map(|(_, (peer, _))| run.lines_per_second / peer.lines_per_second);
        report.row(&[
            cell.name(),
            format!("{:.0}", run.lines_per_second),
            ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            format!("{:.0}", run.megabytes_per_second),
            format!("{:.1}", run.cpu_seconds_per_gb),
            format!("{:.0}", run.peak_mib),
            lost.to_string(),
        ]);
        chart.bar(&cell.name(), "lines/s", run.lines_per_second);
    }
    report.note(&quiet.told());
    report.plot("agent-throughput", &chart);
    Ok(())
}

fn write(dir: &Path, json: bool, lines: u64) -> Result<u64> {
    std::fs::create_dir_all(dir)?;
    let (mut bytes, now) = (0, clock::epoch_ms());
    for file in 0..FILES {
        let mut out = Vec::new();
        for seq in 0..lines / FILES as u64 {
            if json {
                generate::line(&mut out, file, seq, generate::Dates::Now, now);
            } else {
                generate::raw_line(&mut out, file, seq, now);
            }
        }
        bytes += out.len() as u64;
        std::fs::write(dir.join(generate::file_name(file)), out)?;
    }
    Ok(bytes)
}

struct Run {
    lines_per_second: f64,
    megabytes_per_second: f64,
    cpu_seconds_per_gb: f64,
    peak_mib: f64,
    lost: u64,
}

async fn once(cell: Cell, logs: &Path, lines: u64, bytes: u64) -> Result<Run> {
    let (server, _) = Server::start(Kind::OURS_CACHE).await?;
    client::create_topic(&server.brokers, TOPIC, PARTITIONS).await?;
    if cell.cores == 1 {
        server.pin(1)?;
    }
    let state = tempfile::tempdir()?;
    let logs = logs.join(if cell.json { "json" } else { "raw" });
    let ends = Ends::of(&server.brokers, TOPIC, PARTITIONS)?;
    ends.records()?;
    let begin = clock::now();
    let reader = match cell.reader {
        Reader::Agent => agent(state.path(), &server.brokers, &logs, cell.cores)?,
        Reader::Rsyslog => rsyslog(state.path(), &server.brokers, &logs, cell.cores)?,
        Reader::SyslogNg => syslog_ng(state.path(), &server.brokers, &logs, cell.cores)?,
    };
    let peak = sample::PeakMemory::watch(reader.id());
    // What a reader loses never comes: a while without any growth is the end, too.
    let (mut there, mut grown) = (0, begin);
    while there < lines && grown.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = ends.records()?;
        if now > there {
            (there, grown) = (now, clock::now());
        }
    }
    let seconds = (grown - begin).as_secs_f64();
    let gigabytes = bytes as f64 / 1e9;
    ensure!(there > 0, "{} delivered nothing: {}", cell.name(), reader.tail());
    Ok(Run {
        lines_per_second: there as f64 / seconds,
        megabytes_per_second: bytes as f64 / 1e6 / seconds,
        cpu_seconds_per_gb: sample::cpu_seconds(reader.id())? / gigabytes,
        peak_mib: peak.mib(),
        lost: lines.saturating_sub(there),
    })
}

/// On the first core, or on all.
fn spawn(name: &str, program: &Path, args: &[&str], dir: &Path, cores: usize) -> Result<Process> {
    let log = dir.join(format!("{name}.out"));
    if cores > 1 {
        return Process::spawn(name, program, args, dir, &log);
    }
    let program = program.to_string_lossy();
    let pinned: Vec<&str> = ["-c", "0", &*program].into_iter().chain(args.iter().copied()).collect();
    Process::spawn(name, Path::new("/usr/bin/taskset"), &pinned, dir, &log)
}

fn agent(dir: &Path, brokers: &str, logs: &Path, cores: usize) -> Result<Process> {
    let yaml = dir.join("agent.yaml");
    let text = format!(
        "state_dir: {}/state\nkafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{}\"\ninputs:\n  \
         - {{ name: app, include: [\"{}/*.log\"], topic: {TOPIC}, key: file }}\n",
        dir.display(),
        logmill_e2e::ports::free()?,
        logs.display()
    );
    std::fs::write(&yaml, text)?;
    spawn("agent", &binary("logmill-agent")?, &["--config", &yaml.to_string_lossy()], dir, cores)
}

fn rsyslog(dir: &Path, brokers: &str, logs: &Path, cores: usize) -> Result<Process> {
    let mut conf = String::new();
    let _ = writeln!(
        conf,
        "global(workDirectory=\"{0}\" maxMessageSize=\"64k\")\n\
         module(load=\"imfile\")\nmodule(load=\"omkafka\")\n\
         template(name=\"line\" type=\"string\" string=\"%msg%\")\n\
         input(type=\"imfile\" file=\"{1}/*.log\" tag=\"app\" ruleset=\"out\")\n\
         ruleset(name=\"out\" queue.type=\"FixedArray\" queue.size=\"200000\" queue.dequeueBatchSize=\"4096\"\n  \
         queue.timeoutEnqueue=\"60000\" queue.workerThreads=\"1\") {{\n  \
         action(type=\"omkafka\" broker=[\"{brokers}\"] topic=\"{TOPIC}\" template=\"line\" partitions.auto=\"on\"\n    \
         resubmitOnFailure=\"on\" keepFailedMessages=\"on\" failedMsgFile=\"{0}/failed\" action.resumeRetryCount=\"-1\"\n    \
         confParam=[\"compression.codec=lz4\", \"queue.buffering.max.messages=1000000\", \"linger.ms=5\"])\n}}",
        dir.display(),
        logs.display()
    );
    let path = dir.join("rsyslog.conf");
    std::fs::write(&path, conf)?;
    let (conf, pid) = (path.to_string_lossy().into_owned(), dir.join("pid").to_string_lossy().into_owned());
    spawn("rsyslog", &script("rsyslog"), &["run", &conf, &pid], dir, cores)
}

/// As its documentation says for throughput: the window of the source, which its files share, and the queue of the destination,
/// which is larger, so that flow control holds back the reading; librdkafka batches by itself (`sync-send` would make a
/// transaction of each batch).
fn syslog_ng(dir: &Path, brokers: &str, logs: &Path, cores: usize) -> Result<Process> {
    let conf = format!(
        "@version: 3.38\n\
         options {{ threaded(yes); stats-freq(0); log-msg-size(65536); log-fifo-size(400000); }};\n\
         source files {{ wildcard-file(base-dir(\"{}\") filename-pattern(\"*.log\") flags(no-parse) follow-freq(1)\n  \
         max-files({FILES}) log-iw-size(200000) log-fetch-limit(2000)); }};\n\
         destination broker {{ kafka-c(bootstrap-servers(\"{brokers}\") topic(\"{TOPIC}\") message(\"$MSG\") workers({cores})\n  \
         config(compression.codec(\"lz4\") queue.buffering.max.messages(\"1000000\") linger.ms(\"5\"))); }};\n\
         log {{ source(files); destination(broker); flags(flow-control); }};\n",
        logs.display()
    );
    let path = dir.join("syslog-ng.conf");
    std::fs::write(&path, conf)?;
    let args = ["run", &*path.to_string_lossy(), &*dir.to_string_lossy()];
    spawn("syslog-ng", &script("syslog-ng"), &args, dir, cores)
}

async fn idle(report: &mut Report, quiet: &mut Quiet) -> Result<()> {
    report.section(
        "Agent: idle files, and from append to broker",
        "5000 files of ten lines, all delivered; then 10 s without input. After that one line at a time is appended to one of them,\n\
         500 times, 30 ms apart: from the write until a consumer has the record.",
        &["files", "RssAnon", "CPU idle", "append to consumer p50", "p99"],
    );
    let (server, _) = Server::start(Kind::OURS_CACHE).await?;
    client::create_topic(&server.brokers, TOPIC, 1).await?;
    let dir = tempfile::tempdir()?;
    let logs = dir.path().join("logs");
    std::fs::create_dir(&logs)?;
    for file in 0..5000 {
        let text: String = (0..10).map(|seq| format!("line {seq} of file {file}\n")).collect();
        std::fs::write(logs.join(format!("{file:04}.log")), text)?;
    }
    let agent = agent(dir.path(), &server.brokers, &logs, 2)?;
    let ends = Ends::of(&server.brokers, TOPIC, 1)?;
    clock::until("all lines", Duration::from_secs(60), Duration::from_millis(100), || async {
        Ok((ends.records()? == 50_000).then_some(()))
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idling = quiet.run(async || {
        let before = sample::cpu_seconds(agent.id())?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        Ok((sample::cpu_seconds(agent.id())? - before) * 10.0)
    });
    let cpu = idling.await?;
    let memory = sample::rss_anon_kib(agent.id())? as f64 / 1024.0;
    let appending = quiet.run(async || {
        let (brokers, file, from) = (server.brokers.clone(), logs.join("2500.log"), ends.records()?);
        tokio::task::spawn_blocking(move || append(&brokers, &file, from)).await?
    });
    let appended = appending.await?;
    let ms = |quantile| format!("{:.1} ms", appended.value_at_quantile(quantile) as f64 / 1e3);
    report.row(&["5000".into(), format!("{memory:.0} MiB"), format!("{cpu:.2} %"), ms(0.5), ms(0.99)]);
    report.note(&quiet.told());
    Ok(())
}

fn append(brokers: &str, path: &Path, from: u64) -> Result<Histogram<u64>> {
    let consumer = client::assigned(brokers, TOPIC, 1, Offset::Offset(i64::try_from(from)?))?;
    let mut file = std::fs::File::options().append(true).open(path)?;
    let mut histogram = Histogram::<u64>::new(3)?;
    for round in 0..500 {
        clock::pause(Duration::from_millis(30));
        let line = format!("appended {round}\n");
        let begin = clock::now();
        file.write_all(line.as_bytes())?;
        let message = consumer.poll(Duration::from_secs(30)).context("an appended line did not arrive")??;
        histogram.record(u64::try_from(begin.elapsed().as_micros())?)?;
        let text = message.payload().unwrap_or_default();
        ensure!(String::from_utf8_lossy(text).contains(line.trim_end()), "another line arrived");
    }
    Ok(histogram)
}
