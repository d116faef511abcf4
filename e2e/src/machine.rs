//! A small Debian booted with systemd in a container of systemd-nspawn, with a network of its own. Needs root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{clock, peers};

/// How long one command inside may take.
const COMMAND: &str = "120";

pub struct Machine {
    /// Its file system as seen from outside.
    pub root: PathBuf,
    nspawn: Child,
    /// Its first process, whose namespaces commands enter.
    leader: u32,
}

impl Machine {
    /// Boots a copy of the tree that `peers/debian install` made.
    pub async fn boot(dir: &Path) -> Result<Self> {
        let root = dir.join("machine");
        let tree = peers::debian_tree()?;
        let copied = Command::new("cp").arg("-a").arg(&tree).arg(&root).status()?;
        ensure!(copied.success(), "copying {} failed", tree.display());
        fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n")?;
        let log = fs::File::create(dir.join("machine.out"))?;
        let nspawn = Command::new("systemd-nspawn")
            .args(["--boot", "--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe"])
            .arg(format!("--machine=logmill-{}", std::process::id()))
            .arg("--directory")
            .arg(&root)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting systemd-nspawn (Debian's package systemd-container)")?;
        let mut machine = Self { root, nspawn, leader: 0 };
        let id = machine.nspawn.id();
        machine.leader = clock::until("the machine to boot", Duration::from_secs(120), TICK, || async {
            // Asked for anew each time: its first child is only a step on the way, still in our own namespaces.
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
            let leader = children.split_whitespace().next().context("it has no process")?.parse()?;
            let ours = fs::read_link("/proc/self/ns/pid")?;
            ensure!(fs::read_link(format!("/proc/{leader}/ns/pid"))? != ours, "it has no namespaces yet");
            let output = enter(leader, "systemctl is-system-running")?;
            let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            ensure!(["running", "degraded"].contains(&state.as_str()), "it is {state}");
            Ok(Some(leader))
        })
        .await?;
        Ok(machine)
    }

    /// Runs a shell script inside: exit code and both outputs.
    pub fn try_sh(&self, script: &str) -> Result<(i32, String)> {
        let output = enter(self.leader, script)?;
        let both = [output.stdout, output.stderr].concat();
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&both).into_owned()))
    }

    /// As [`Machine::try_sh`]; anything but exit code 0 is an error. Gives what it said, trimmed.
    pub fn sh(&self, script: &str) -> Result<String> {
        let (code, said) = self.try_sh(script)?;
        ensure!(code == 0, "`{script}` ended with {code}: {said}");
        Ok(said.trim().to_owned())
    }

    /// Runs a program of this machine in the other's network.
    pub fn in_network(&self, program: &Path, arguments: &[&str]) -> Result<String> {
        let output = Command::new("nsenter")
            .args(["--target", &self.leader.to_string(), "--net", "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
        if !output.status.success() {
            bail!("{} {arguments:?}: {said}", program.display());
        }
        Ok(said)
    }
}

const TICK: Duration = Duration::from_millis(100);

/// Runs a shell script in the namespaces of a machine's first process.
fn enter(leader: u32, script: &str) -> Result<Output> {
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["--target", &leader.to_string(), "--all", "--", "/usr/bin/timeout", COMMAND]);
    let environment = [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C"), ("DEBIAN_FRONTEND", "noninteractive")];
    nsenter.env_clear().envs(environment).stdin(Stdio::null());
    // nsenter itself is looked up with our own PATH.
    nsenter.args(["/bin/sh", "-c", script]).output().context("running nsenter")
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The end of its first process is the end of all of them.
        if let Some(pid) = i32::try_from(self.leader).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        for _ in 0..50 {
            if matches!(self.nspawn.try_wait(), Ok(Some(_))) {
                return;
            }
            clock::pause(TICK);
        }
        // One that did not boot ends with the program that would boot it.
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}
