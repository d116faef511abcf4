//! The images and the compose file on a real Docker engine: lines in, documents out, and nothing lost when containers are killed.

mod elasticsearch;

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use anyhow::{Result, ensure};

use super::Room;
use crate::{
    clock,
    docker::{Docker, Network, build_context},
    generate::{Dates, Plan, Writer},
    process::binary,
};

pub(super) const BASE: &str = "gcr.io/distroless/cc-debian12:nonroot";
const DAEMONS: [&str; 4] = ["broker", "index", "sinks", "agent"];
const BINARIES: [&str; 5] = ["logmill", "logmill-agent", "logmill-broker", "logmill-sinks", "logmill-index"];
const FILES: usize = 6;
const SOON: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(300);

pub(super) async fn run(room: &Room) -> Result<String> {
    let per_file: u64 = if room.is_long() { 200_000 } else { 5_000 };
    let rate = if room.is_long() { 8000 } else { 3000 };
    let docker = Docker::start(&room.dir.join("docker"), Network::Own).await?;
    docker.import_base(BASE)?;
    let context = room.dir.join("context");
    build_context(&context, &BINARIES)?;
    let began = clock::now();
    let mut largest = 0;
    for target in ["agent", "broker", "sinks", "index", "logmill"] {
        largest = largest.max(build(&docker, &context, target)?);
    }
    let built = began.elapsed();

    let logs = room.dir.join("logs");
    fs::create_dir_all(&logs)?;
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o755))?;
    let file = context.join("deploy/docker/compose.yaml");
    let directory = logs.display().to_string();
    let environment = [("LOGMILL_LOGS_DIR", directory.as_str())];
    for other in ["compose.elasticsearch.yaml", "compose.kafka.yaml"] {
        docker.compose(&file.with_file_name(other), &environment, &["config", "--quiet"])?;
    }
    docker.compose(&file, &environment, &["up", "--detach", "--no-build"])?;
    for name in DAEMONS {
        healthy(&docker, name).await?;
    }
    let writer = Writer::start(Plan {
        dir: logs,
        files: FILES,
        lines_per_file: per_file,
        rotate_every: per_file / 4,
        rate,
        dates: Dates::Now,
    });
    for name in DAEMONS {
        tokio::time::sleep(Duration::from_secs(1)).await;
        docker.run(&["kill", &container(name)])?;
        docker.run(&["start", &container(name)])?;
        healthy(&docker, name).await?;
    }
    let total = FILES as u64 * per_file;
    ensure!(writer.join()? == total, "the writer did not finish");
    whole(&docker, FILES, per_file, Duration::from_secs(90)).await?;
    listeners(&docker)?;
    let longest = stopped(&docker)?;
    docker.compose(&file, &environment, &["down", "--volumes"])?;
    alone(&docker).await?;
    let real =
        elasticsearch::run(&docker, &file.with_file_name("compose.elasticsearch.yaml"), &room.dir.join("more")).await?;
    Ok(format!(
        "5 images built in {:.1} s, the largest {} MB (dev binaries); {total} lines whole over kills of each container; longest stop {:.1} s; {real}",
        built.as_secs_f64(),
        largest / 1_000_000,
        longest.as_secs_f64()
    ))
}

/// Builds a target of the Dockerfile as it is; gives the image's size.
fn build(docker: &Docker, context: &Path, target: &str) -> Result<u64> {
    let (tag, file) = (format!("logmill/{target}"), context.join("deploy/docker/Dockerfile"));
    let (file, context) = (file.display().to_string(), context.display().to_string());
    let arguments = ["build", "--file", &file, "--target", target, "--tag", &tag, "--build-arg", "BINARIES=prebuilt"];
    docker.run(&[&arguments[..], &[&context]].concat())?;
    let user = docker.run(&["inspect", "--format", "{{.Config.User}} {{.Config.StopSignal}}", &tag])?;
    ensure!(user == "65532:65532 SIGTERM", "{tag}: {user}");
    let version = docker.run(&["run", "--rm", &tag, "--version"])?;
    ensure!(version.contains("linux-gnu)"), "{tag}: {version}");
    Ok(docker.run(&["inspect", "--format", "{{.Size}}", &tag])?.parse()?)
}

/// Waits until every line is in topic and index, none twice.
async fn whole(docker: &Docker, files: usize, lines: u64, within: Duration) -> Result<()> {
    let (files, lines) = (files.to_string(), lines.to_string());
    let whole = ["readback", "--brokers", "localhost:9094", "--topic", "logs.app", "--index", "http://127.0.0.1:9200"];
    let whole = [&whole[..], &["--indices", "app-logs-*", "--files", &files, "--lines", &lines]].concat();
    let program = std::env::current_exe()?;
    clock::until("every line in topic and index", within, Duration::from_secs(1), || async {
        docker.in_network(&program, &whole).map(Some)
    })
    .await?;
    Ok(())
}

fn container(name: &str) -> String {
    format!("logmill_{name}_1")
}

async fn healthy(docker: &Docker, name: &str) -> Result<()> {
    clock::until(&format!("container {name} to be healthy"), SOON, TICK, || async {
        let health = docker.run(&["inspect", "--format", "{{.State.Health.Status}}", &container(name)])?;
        let log = || docker.run(&["logs", "--tail", "5", &container(name)]).unwrap_or_default();
        ensure!(health == "healthy", "{health}: {}", log());
        Ok(Some(()))
    })
    .await
}

/// Each listener names itself: one for who is beside the broker, one for the host.
fn listeners(docker: &Docker) -> Result<()> {
    let inside = ["run", "--rm", "--network", "logmill_default", "logmill/logmill", "consume", "logs.app"];
    let read = ["--brokers", "broker:9092", "--from-beginning", "--max", "3"];
    let lines = docker.run(&[&inside[..], &read].concat())?;
    ensure!(lines.lines().count() == 3, "inside: {lines}");
    let outside = ["consume", "logs.app", "--brokers", "localhost:9094", "--from-beginning", "--max", "3"];
    let lines = docker.in_network(&binary("logmill")?, &outside)?;
    ensure!(lines.lines().count() == 3, "from the host: {lines}");
    Ok(())
}

/// SIGTERM ends each in order and in time.
fn stopped(docker: &Docker) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    for name in ["agent", "sinks", "index", "broker"] {
        let start = clock::now();
        docker.run(&["stop", "--time", "15", &container(name)])?;
        longest = longest.max(start.elapsed());
        let code = docker.run(&["inspect", "--format", "{{.State.ExitCode}}", &container(name)])?;
        ensure!(code == "0", "{name} stopped with {code}");
    }
    ensure!(longest < Duration::from_secs(10), "a stop took {longest:?}");
    Ok(longest)
}

/// The command's image runs the whole pipeline by itself.
async fn alone(docker: &Docker) -> Result<()> {
    docker.run(&["run", "--detach", "--name", "alone", "--read-only", "--cap-drop", "ALL", "logmill/logmill"])?;
    clock::until("`up` in a container to be ready", SOON, TICK, || async {
        docker.run(&["exec", "alone", "/usr/bin/logmill", "health", "ready"]).map(Some)
    })
    .await?;
    docker.run(&["stop", "--time", "15", "alone"])?;
    let code = docker.run(&["inspect", "--format", "{{.State.ExitCode}}", "alone"])?;
    ensure!(code == "0", "`up` stopped with {code}");
    Ok(())
}
