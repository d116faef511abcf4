//! Child processes under test: started with a log file, frozen, killed, stopped; killed when dropped.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock;

/// The workspace binary of this name, beside our own.
pub fn binary(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!("{} is missing: run `cargo build --workspace` first", path.display());
    }
    Ok(path)
}

pub struct Process {
    child: Child,
    name: String,
    pub log: PathBuf,
}

impl Process {
    /// Starts `program`; stdout and stderr are appended to `log`.
    pub fn spawn(name: &str, program: &Path, args: &[&str], dir: &Path, log: &Path) -> Result<Self> {
        Self::spawn_with(name, program, args, &[], dir, log)
    }

    /// As `spawn`, with variables beside the environment's own.
    pub fn spawn_with(
        name: &str,
        program: &Path,
        args: &[&str],
        environment: &[(&str, String)],
        dir: &Path,
        log: &Path,
    ) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .args(args)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { child, name: name.to_owned(), log: log.to_owned() })
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("no pid")?;
        kill_process(pid, signal).with_context(|| format!("{signal:?} to {}", self.name))
    }

    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGHUP.
    pub fn reload(&self) -> Result<()> {
        self.signal(Signal::HUP)
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} was to be killed but had ended with {status}: {}", self.name, self.tail());
        }
        self.signal(Signal::KILL)?;
        self.child.wait()?;
        Ok(())
    }

    /// `None` while running.
    pub fn ended(&mut self) -> Result<Option<i32>> {
        Ok(self.child.try_wait()?.map(|s| s.code().unwrap_or(-1)))
    }

    /// SIGTERM; fails unless it ends with 0 within 10 s.
    pub async fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let code = self.wait(Duration::from_secs(10)).await?;
        if code != 0 {
            bail!("{} ended with {code} on SIGTERM: {}", self.name, self.tail());
        }
        Ok(())
    }

    /// Exit code (−1 for a signal).
    pub async fn wait(&mut self, deadline: Duration) -> Result<i32> {
        let start = clock::now();
        loop {
            if let Some(code) = self.ended()? {
                return Ok(code);
            }
            if start.elapsed() > deadline {
                bail!("{} did not end within {:?}: {}", self.name, deadline, self.tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// What each of its threads waits for in the kernel, as far as that may be seen.
    pub fn threads(&self) -> String {
        let tasks = PathBuf::from(format!("/proc/{}/task", self.id()));
        let text = |task: &Path, file: &str| std::fs::read_to_string(task.join(file)).unwrap_or_default();
        let paths = std::fs::read_dir(&tasks).map(|tasks| tasks.flatten().map(|t| t.path()).collect::<Vec<_>>());
        let threads = paths.unwrap_or_default().into_iter().map(|task| {
            let stack = text(&task, "stack").lines().take(5).map(str::trim).collect::<Vec<_>>().join(" ");
            format!("{} in {} {stack}", text(&task, "comm").trim(), text(&task, "wchan"))
        });
        threads.collect::<Vec<_>>().join("; ")
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A field of /proc/PID/status in KiB ("RssAnon", "VmHWM").
    pub fn status_kib(&self, field: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|l| l.starts_with(field)).with_context(|| format!("no {field}"))?;
        Ok(line.split_whitespace().nth(1).context("no value")?.parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end; gives exit code, stdout and stderr. Killed after `deadline`.
pub async fn run(program: &Path, args: &[&str], dir: &Path, deadline: Duration) -> Result<(i32, String, String)> {
    run_with_input(program, args, dir, "", deadline).await
}

pub async fn run_with_input(
    program: &Path,
    args: &[&str],
    dir: &Path,
    input: &str,
    deadline: Duration,
) -> Result<(i32, String, String)> {
    use tokio::io::AsyncWriteExt;
    let mut child = tokio::process::Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = tokio::time::timeout(deadline, child.wait_with_output())
        .await
        .with_context(|| format!("{} {args:?} did not end within {deadline:?}", program.display()))??;
    Ok((
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}
