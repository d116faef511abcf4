//! What the documents say to type on such a machine, typed as it stands.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::active;
use crate::machine::Machine;

/// Lines of code of a page.
fn code(page: &str) -> Result<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.lines().filter_map(|line| line.strip_prefix("    ")).map(|line| line.trim().to_owned()).collect())
}

/// How docs/install.md installs, from where the packages are here.
pub(super) fn installation() -> Result<String> {
    let lines = code("docs/install.md")?;
    let line =
        lines.iter().find_map(|line| line.strip_prefix("sudo dpkg -i ")).context("docs/install.md installs nothing")?;
    Ok(format!("dpkg -i {}", line.replace("target/debian/", "/srv/first/")))
}

/// The commands of docs/operations.md; gives how many they are.
pub(super) fn operations(machine: &Machine) -> Result<usize> {
    let commands: Vec<_> = code("docs/operations.md")?.into_iter().filter(|line| line.starts_with("logmill")).collect();
    ensure!(commands.len() >= 3, "docs/operations.md has only these commands: {commands:?}");
    for command in &commands {
        let said = machine.sh(command)?;
        ensure!(!said.is_empty(), "`{command}` says nothing");
    }
    Ok(commands.len())
}

/// The drop-in of docs/install.md that takes the agent's one right away.
pub(super) async fn drop_in(machine: &Machine) -> Result<()> {
    let lines = code("docs/install.md")?;
    let text = lines.iter().skip_while(|line| *line != "# systemctl edit logmill-agent").skip(1);
    let text: Vec<&str> =
        text.take_while(|line| line.starts_with('[') || line.contains('=')).map(String::as_str).collect();
    ensure!(text.first() == Some(&"[Service]") && text.len() > 1, "docs/install.md has no drop-in");
    let dir = "/run/systemd/system/logmill-agent.service.d";
    machine.sh(&format!("mkdir -p {dir} && printf '%s\\n' '{}' >{dir}/rights.conf", text.join("' '")))?;
    machine.sh("systemctl daemon-reload && systemctl restart logmill-agent")?;
    active(machine, "agent").await?;
    let status = "/proc/$(systemctl show --value -p MainPID logmill-agent)/status";
    machine.sh(&format!("grep -Eq '^CapEff:[[:space:]]*0+$' {status}"))?;
    let group = machine.sh("getent group adm | cut -d: -f3")?;
    machine.sh(&format!("grep -Eq '^Groups:.*[[:space:]]{group}( |$)' {status}"))?;
    Ok(())
}
