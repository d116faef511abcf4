//! A Docker engine of the test's own: its own network, processes, mounts and data, all gone when it is dropped. Needs root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock;

mod images;

/// Which network the engine stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// One of its own without a way out: containers have networks, ports are published inside it.
    Own,
    /// The machine's: what is built there can be fetched for (`--network host`); there are no networks of containers.
    Machine,
}

pub struct Docker {
    dir: PathBuf,
    /// Holds the namespaces; dockerd is its child.
    unshare: Child,
    daemon: u32,
}

const TICK: Duration = Duration::from_millis(100);

impl Docker {
    pub async fn start(dir: &Path, network: Network) -> Result<Self> {
        fs::create_dir_all(dir.join("config"))?;
        let log = fs::File::create(dir.join("dockerd.out"))?;
        let path = |name: &str| dir.join(name).display().to_string();
        let dockerd = format!(
            "{} --data-root {} --exec-root {} --pidfile {} --host unix://{}",
            match network {
                Network::Own => "ip link set lo up && exec dockerd",
                Network::Machine => "exec dockerd --bridge none --iptables=false --ip-forward=false",
            },
            path("data"),
            path("exec"),
            path("pid"),
            path("docker.sock")
        );
        let unshare = Command::new("unshare")
            .args((network == Network::Own).then_some("--net"))
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", &dockerd])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut docker = Self { dir: dir.to_owned(), unshare, daemon: 0 };
        let started = clock::until("dockerd (Debian's package docker.io)", Duration::from_secs(60), TICK, || async {
            docker.run(&["version", "--format", "{{.Server.Version}}"]).map(Some)
        });
        let version = started.await.with_context(|| docker.log())?;
        let id = docker.unshare.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        docker.daemon = children.split_whitespace().next().context("dockerd ended")?.parse()?;
        println!("  Docker {version}");
        Ok(docker)
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.join("dockerd.out")).unwrap_or_default();
        log.lines().rev().take(5).collect::<Vec<_>>().join("\n")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("DOCKER_HOST", format!("unix://{}", self.dir.join("docker.sock").display()))
            .env("DOCKER_CONFIG", self.dir.join("config"))
            .env("DOCKER_BUILDKIT", "1")
            .stdin(Stdio::null());
        command
    }

    /// `docker ARGUMENTS`; anything but exit code 0 is an error. Gives what it printed, trimmed.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        // Debian's client fits Debian's engine; another one may stand before it in PATH.
        let client = if Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" };
        said(self.command(client).args(arguments), &format!("docker {arguments:?}"))
    }

    /// `docker-compose ARGUMENTS` on a compose file, as the project `logmill`.
    pub fn compose(&self, file: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Result<String> {
        let mut command = self.command("docker-compose");
        command.arg("--file").arg(file).args(["--project-name", "logmill", "--no-ansi"]).args(arguments);
        said(command.envs(environment.iter().copied()), &format!("docker-compose {arguments:?}"))
    }

    /// Runs a program of this machine in the engine's network, where ports are published.
    pub fn in_network(&self, program: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.daemon.to_string(), "--net", "--"]).arg(program).args(arguments);
        said(command.stdin(Stdio::null()), &format!("{} {arguments:?}", program.display()))
    }
}

pub(crate) fn said(command: &mut Command, what: &str) -> Result<String> {
    let output = command.output().with_context(|| format!("running {what}"))?;
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        let both = format!("{out}{errors}");
        let lines: Vec<&str> = both.lines().rev().take(20).collect();
        bail!("{what}: {}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    Ok(out.trim().to_owned())
}

impl Drop for Docker {
    fn drop(&mut self) {
        let daemon = i32::try_from(self.daemon).ok().and_then(Pid::from_raw);
        if let Some(daemon) = daemon {
            let _ = kill_process(daemon, Signal::TERM);
        }
        for _ in 0..200 {
            if daemon.is_none() || matches!(self.unshare.try_wait(), Ok(Some(_))) {
                break;
            }
            clock::pause(TICK);
        }
        // With it goes everything in its namespaces.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// Makes a build context of the repository's own files and of the binaries beside this one, stripped, as `prebuilt`.
pub fn build_context(dir: &Path, binaries: &[&str]) -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let prebuilt = dir.join("prebuilt");
    fs::create_dir_all(&prebuilt)?;
    let copied = Command::new("cp").arg("-r").arg(repository.join("deploy")).arg(dir).status()?;
    ensure!(copied.success(), "copying deploy failed");
    for name in binaries {
        let from = crate::process::binary(name)?;
        said(Command::new("strip").arg("-o").arg(prebuilt.join(name)).arg(&from), "strip")?;
    }
    Ok(())
}
