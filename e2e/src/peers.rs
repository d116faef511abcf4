//! Real peers, started by the scripts in `e2e/peers`: Apache Kafka with its tools, Elasticsearch, OpenSearch; Kafka's client libraries; a small Debian; what
//! the benchmarks run beside ours.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::process;

/// Where the script of a peer is.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

fn call(name: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(script(name)).args(args).output().with_context(|| format!("running peers/{name}"))?;
    ensure!(
        output.status.success(),
        "peers/{name} {args:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Fetches a peer unless it is there.
pub async fn install(name: &str, deadline: Duration) -> Result<()> {
    let (code, out, err) = process::run(&script(name), &["install"], Path::new("/tmp"), deadline).await?;
    ensure!(code == 0, "peers/{name} install ended with {code}: {out}{err}");
    Ok(())
}

/// Where the small Debian lies.
pub fn debian_tree() -> Result<PathBuf> {
    Ok(PathBuf::from(call("debian", &["tree"])?.trim()))
}

/// Where the Elasticsearch that other tests start lies.
pub fn elasticsearch_home() -> Result<PathBuf> {
    Ok(PathBuf::from(call("search", &["install", "elasticsearch"])?.trim()))
}

/// Apache Kafka, one node or more; stopped when dropped.
pub struct Kafka {
    dir: PathBuf,
    /// Of the first node; the others' follow.
    pub port: u16,
    nodes: u16,
}

impl Kafka {
    pub fn start(dir: &Path, port: u16) -> Result<Self> {
        Self::start_nodes(dir, port, 1, &[])
    }

    /// `settings` are the brokers' own, `name=value`.
    pub fn start_nodes(dir: &Path, port: u16, nodes: u16, settings: &[&str]) -> Result<Self> {
        let log = std::fs::File::create(dir.with_extension("out"))?;
        // The node inherits our output: a pipe would stay open for its whole life.
        let status = Command::new(script("kafka"))
            .args(["start", "--nodes", &nodes.to_string(), "--port", &port.to_string(), "--dir"])
            .arg(dir)
            .args(settings.iter().flat_map(|setting| ["--conf", setting]))
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()?;
        ensure!(status.success(), "Apache Kafka did not start, see {}", dir.with_extension("out").display());
        Ok(Self { dir: dir.to_owned(), port, nodes })
    }

    /// Each node's address.
    pub fn nodes(&self) -> Vec<String> {
        (0..self.nodes).map(|n| format!("127.0.0.1:{}", self.port + n)).collect()
    }

    /// All of them, for a client.
    pub fn brokers(&self) -> String {
        self.nodes().join(",")
    }

    /// Of one node, the first is 1.
    pub fn node_pid(&self, node: u16) -> Result<u32> {
        Ok(std::fs::read_to_string(self.dir.join(format!("n{node}/pid")))?.trim().parse()?)
    }

    /// SIGKILL to one node, the first is 1.
    pub fn kill_node(&self, node: u16) -> Result<()> {
        let pid = i32::try_from(self.node_pid(node)?)?;
        let pid = rustix::process::Pid::from_raw(pid).context("no pid")?;
        Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL)?)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = call("kafka", &["stop", &self.dir.to_string_lossy()]);
    }
}

/// Runs one of Kafka's own tools (`topics`, `console-consumer`, …).
pub async fn kafka_tool(args: &[&str], input: &str) -> Result<(i32, String, String)> {
    let mut all = vec!["tool"];
    all.extend(args);
    process::run_with_input(&script("kafka"), &all, Path::new("/tmp"), input, Duration::from_secs(60)).await
}

/// `peers/clients` with these arguments: what it printed.
pub async fn client_stack(args: &[&str], deadline: Duration) -> Result<String> {
    let (code, out, err) = process::run(&script("clients"), args, Path::new("/tmp"), deadline).await?;
    ensure!(code == 0, "peers/clients {args:?} ended with {code}: {out}{err}");
    Ok(out)
}

/// A search node: `elasticsearch` or `opensearch`; stopped when dropped.
pub struct Search {
    dir: PathBuf,
    pub url: String,
}

impl Search {
    pub fn start(kind: &str, dir: &Path, port: u16) -> Result<Self> {
        Self::start_with(kind, dir, port, &[])
    }

    /// `settings` are lines of elasticsearch.yml.
    pub fn start_with(kind: &str, dir: &Path, port: u16, settings: &[&str]) -> Result<Self> {
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        Self::call(kind, dir, port, &settings)?;
        Ok(Self { dir: dir.to_owned(), url: format!("http://127.0.0.1:{port}") })
    }

    /// Elasticsearch with TLS and users; its authority's, its own and a client's certificate are in `certs`, the URL is the
    /// administrator's.
    pub fn start_secured(dir: &Path, port: u16) -> Result<Self> {
        Self::call("elasticsearch", dir, port, &["--secure"])?;
        Ok(Self { dir: dir.to_owned(), url: format!("https://admin:secret@127.0.0.1:{port}") })
    }

    fn call(kind: &str, dir: &Path, port: u16, more: &[&str]) -> Result<()> {
        let log = std::fs::File::create(dir.with_extension("out"))?;
        let status = Command::new(script("search"))
            .args(["start", kind, "--heap", "1g", "--port", &port.to_string(), "--dir"])
            .arg(dir)
            .args(more)
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()?;
        ensure!(status.success(), "{kind} did not start, see {}", dir.with_extension("out").display());
        Ok(())
    }

    pub fn pid(&self) -> Result<u32> {
        Ok(std::fs::read_to_string(self.dir.join("pid"))?.trim().parse()?)
    }

    /// SIGKILL; its data stay where they are.
    pub fn kill(self) -> Result<()> {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()?)?).context("no pid")?;
        Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL)?)
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        let _ = call("search", &["stop", &self.dir.to_string_lossy()]);
    }
}
