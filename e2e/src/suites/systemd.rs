//! The packages on a booted Debian: installed, supervised, reloaded, upgraded and removed, with no line lost or doubled.

mod documented;
mod journaled;

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};

use super::Room;
use crate::{
    clock,
    generate::{Dates, Plan, Writer},
    machine::Machine,
    packages,
};

const DAEMONS: [&str; 4] = ["broker", "index", "sinks", "agent"];
const ALL: [&str; 5] = ["logmill-broker", "logmill-index", "logmill-sinks", "logmill-agent", "logmill"];
const FILES: usize = 6;
const SOON: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(200);
/// What `systemd-analyze security` may say at most.
const EXPOSURE: f64 = 2.0;

pub(super) async fn run(room: &Room) -> Result<String> {
    let per_file: u64 = if room.is_long() { 200_000 } else { 10_000 };
    let rate = if room.is_long() { 8000 } else { 2000 };
    let machine = Machine::boot(&room.dir).await?;
    let debs = machine.root.join("srv");
    packages::build(&debs.join("first"), "0.1.0", &ALL)?;
    packages::build(&debs.join("next"), "0.1.0+next", &["logmill-broker", "logmill-sinks", "logmill-agent"])?;

    // The agent's reference configuration tails all of /var/log: there dpkg's own log would be among the lines.
    machine.sh("sed -i '/^log /d' /etc/dpkg/dpkg.cfg")?;
    let began = clock::now();
    machine.sh(&documented::installation()?)?;
    let installed = began.elapsed();
    for name in DAEMONS {
        active(&machine, name).await?;
    }
    let version = machine.sh("logmill-agent --version")?;
    ensure!(version.starts_with("logmill-agent 0.1.0 (") && version.contains("linux-gnu"), "{version}");
    machine.sh("test -s /usr/share/man/man8/logmill-agent.8.gz -a -s /usr/share/man/man1/logmill-topics.1.gz")?;
    machine.sh("test -s /usr/share/bash-completion/completions/logmill")?;
    let exposure = exposure(&machine)?;

    // Only root may read these: the agent's one right is needed.
    machine.sh("install -d -m 700 /var/log/app && runuser -u logmill-agent -- test ! -r /var/log/app")?;
    let writer = Writer::start(Plan {
        dir: machine.root.join("var/log/app"),
        files: FILES,
        lines_per_file: per_file,
        rotate_every: per_file / 4,
        rate,
        dates: Dates::Now,
    });

    clock::until("the first lines", SOON, TICK, || async {
        let count = metric(&machine, "agent", "logmill_agent_lines_acknowledged_total")?;
        Ok((count > 0.0).then_some(()))
    })
    .await?;
    for name in ["agent", "broker", "sinks"] {
        killed(&machine, name).await?;
    }
    reloads(&machine).await?;
    upgraded(&machine).await?;
    let stalled = watched(&machine).await?;

    let total = FILES as u64 * per_file;
    ensure!(writer.join()? == total, "the writer did not finish");
    let (files, lines) = (FILES.to_string(), per_file.to_string());
    let whole = ["readback", "--brokers", "127.0.0.1:9092", "--topic", "logs.app", "--index", "http://127.0.0.1:9200"];
    let whole = [&whole[..], &["--indices", "app-logs-*", "--files", &files, "--lines", &lines]].concat();
    let program = std::env::current_exe()?;
    clock::until("every line in topic and index", Duration::from_secs(90), Duration::from_secs(1), || async {
        machine.in_network(&program, &whole).map(Some)
    })
    .await?;
    journaled::run(&machine).await.context("the journal")?;
    documented::operations(&machine).context("docs/operations.md")?;
    documented::drop_in(&machine).await.context("docs/install.md")?;

    let mut longest = Duration::ZERO;
    for name in ["agent", "sinks", "index", "broker"] {
        let start = clock::now();
        machine.sh(&format!("systemctl stop logmill-{name}"))?;
        longest = longest.max(start.elapsed());
        let end = machine.sh(&format!("systemctl show -p Result -p ExecMainStatus logmill-{name}"))?;
        ensure!(end.contains("Result=success") && end.contains("ExecMainStatus=0"), "{name} stopped with {end}");
    }
    ensure!(longest < Duration::from_secs(10), "a stop took {longest:?}");
    removed(&machine)?;
    Ok(format!(
        "installed in {:.1} s; {total} lines whole over kills, reloads, an upgrade and a watchdog ({:.1} s); longest stop {:.1} s; exposure {exposure}",
        installed.as_secs_f64(),
        stalled.as_secs_f64(),
        longest.as_secs_f64()
    ))
}

/// Active means ready: the units are of Type=notify.
async fn active(machine: &Machine, name: &str) -> Result<()> {
    clock::until(&format!("logmill-{name} to be active"), SOON, TICK, || async {
        let (code, said) = machine.try_sh(&format!("systemctl is-active logmill-{name}"))?;
        ensure!(code == 0, "{}: {}", said.trim(), journal(machine, name)?);
        Ok(Some(()))
    })
    .await
}

fn journal(machine: &Machine, name: &str) -> Result<String> {
    Ok(machine.try_sh(&format!("journalctl --no-pager -o cat -n 30 -u logmill-{name}"))?.1)
}

fn show(machine: &Machine, name: &str, property: &str) -> Result<String> {
    machine.sh(&format!("systemctl show --value -p {property} logmill-{name}"))
}

fn metric(machine: &Machine, name: &str, metric: &str) -> Result<f64> {
    let port = match name {
        "agent" => 9601,
        "broker" => 9602,
        _ => 9603,
    };
    // There is no curl in there.
    let get = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET /metrics HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n' >&3; cat <&3"
    );
    let text = machine.sh(&format!("bash -c \"{get}\""))?;
    crate::http::metric(&text, metric, &[]).with_context(|| format!("no {metric} in {text}"))
}

/// The exposure of each unit, as systemd reckons it.
fn exposure(machine: &Machine) -> Result<String> {
    let mut told = Vec::new();
    for name in DAEMONS {
        machine.sh(&format!("systemd-analyze verify --man=no logmill-{name}.service"))?;
        let table = machine.sh(&format!("systemd-analyze security --no-pager logmill-{name}.service"))?;
        let overall = table.lines().rev().find(|l| l.contains("Overall exposure level")).context("no overall level")?;
        let level = overall.split_once(": ").and_then(|(_, rest)| rest.split(' ').next()).context("no level")?;
        let level: f64 = level.parse().with_context(|| overall.to_owned())?;
        ensure!(level < EXPOSURE, "{overall}, expected less than {EXPOSURE}");
        told.push(format!("{name} {level}"));
    }
    Ok(told.join(", "))
}

/// kill -9, and it is back under another process id.
async fn killed(machine: &Machine, name: &str) -> Result<()> {
    let before = show(machine, name, "MainPID")?;
    machine.sh(&format!("systemctl kill --kill-who=main --signal=KILL logmill-{name}"))?;
    restarted(machine, name, &before).await
}

async fn restarted(machine: &Machine, name: &str, before: &str) -> Result<()> {
    clock::until(&format!("logmill-{name} to be restarted"), SOON, TICK, || async {
        let now = show(machine, name, "MainPID")?;
        Ok((now != before && now != "0").then_some(()))
    })
    .await?;
    active(machine, name).await
}

async fn logged(machine: &Machine, name: &str, words: &str) -> Result<()> {
    clock::until(&format!("\"{words}\" in {name}'s log"), SOON, TICK, || async {
        let journal = journal(machine, name)?;
        ensure!(journal.contains(words), "{journal}");
        Ok(Some(()))
    })
    .await
}

/// SIGHUP applies limits, names what needs a restart, and leaves a wrong file alone.
async fn reloads(machine: &Machine) -> Result<()> {
    let file = machine.root.join("etc/logmill/agent.yaml");
    let reference = fs::read_to_string(&file)?;
    let pid = show(machine, "agent", "MainPID")?;
    let limit = "    topic: logs.app\n    read_from: end\n";
    ensure!(reference.contains(limit), "the reference agent.yaml changed");
    let limited = reference.replace(limit, &format!("{limit}    limits: [{{ lines_per_second: 1000 }}]\n"));
    let limited = limited.replace("max_open_files: 1024", "max_open_files: 512");
    fs::write(&file, &limited)?;
    machine.sh("systemctl reload logmill-agent")?;
    logged(machine, "agent", "limits applied").await?;
    logged(machine, "agent", "restart to apply it").await?;
    let status = show(machine, "agent", "StatusText")?;
    ensure!(status == "running; restart to apply: max_open_files", "status {status:?}");

    fs::write(&file, limited.replace("state_dir:", "state_dirr:"))?;
    let (code, said) = machine.try_sh("systemctl reload logmill-agent")?;
    ensure!(code != 0, "a reload with a wrong file went well: {said}");
    machine.sh("systemctl kill --signal=HUP --kill-who=main logmill-agent")?;
    logged(machine, "agent", "did you mean \"state_dir\"?").await?;
    active(machine, "agent").await?;

    fs::write(&file, &limited)?;
    for name in DAEMONS {
        machine.sh(&format!("systemctl reload logmill-{name}"))?;
        active(machine, name).await?;
    }
    ensure!(show(machine, "agent", "MainPID")? == pid, "a reload restarted the agent");
    Ok(())
}

/// A newer package restarts the service on its binary and keeps the configuration as edited.
async fn upgraded(machine: &Machine) -> Result<()> {
    let before = ["broker", "sinks", "agent"].map(|name| (name, show(machine, name, "MainPID")));
    machine.sh("dpkg -i /srv/next/*.deb")?;
    for (name, pid) in before {
        restarted(machine, name, &pid?).await?;
        let version = machine.sh(&format!("dpkg-query -W -f '${{Version}}' logmill-{name}"))?;
        ensure!(version == "0.1.0+next", "{name} is {version}");
    }
    machine.sh("grep -q 'max_open_files: 512' /etc/logmill/agent.yaml")?;
    Ok(())
}

/// A daemon that does nothing any more is killed and started again.
async fn watched(machine: &Machine) -> Result<Duration> {
    let drop_in = "/run/systemd/system/logmill-sinks.service.d";
    machine.sh(&format!("mkdir -p {drop_in} && printf '[Service]\\nWatchdogSec=3s\\n' >{drop_in}/watchdog.conf"))?;
    machine.sh("systemctl daemon-reload && systemctl restart logmill-sinks")?;
    active(machine, "sinks").await?;
    let pid = show(machine, "sinks", "MainPID")?;
    // Longer than the watchdog's patience, so that it is seen to be told.
    tokio::time::sleep(Duration::from_secs(4)).await;
    ensure!(show(machine, "sinks", "MainPID")? == pid, "the watchdog killed sinks that were well");
    machine.sh("systemctl kill --signal=STOP --kill-who=main logmill-sinks")?;
    let start = clock::now();
    restarted(machine, "sinks", &pid).await?;
    let took = start.elapsed();
    logged(machine, "sinks", "Watchdog timeout").await?;
    Ok(took)
}

/// Removing keeps configuration and data; a purge takes them.
fn removed(machine: &Machine) -> Result<()> {
    machine.sh("systemctl start logmill-broker && dpkg -r logmill-broker logmill-agent")?;
    machine.sh("! systemctl is-active logmill-broker && test ! -e /usr/bin/logmill-broker")?;
    machine.sh("test -f /etc/logmill/broker.yaml -a -d /var/lib/logmill-broker")?;
    machine.sh("dpkg -i /srv/next/logmill-broker_*.deb && systemctl is-active logmill-broker")?;
    machine.sh("dpkg -P logmill-broker logmill-agent logmill-sinks logmill-index logmill")?;
    machine
        .sh("test ! -e /etc/logmill -a ! -e /var/lib/logmill-broker && ! systemctl list-unit-files | grep logmill")?;
    Ok(())
}
