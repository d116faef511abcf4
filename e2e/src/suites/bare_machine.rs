//! README.md's two commands on a bare Debian: what it asks for is installed, the sources are cloned, nothing else is there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Room;
use crate::{clock, docker::said, http};

const MIRROR: &str = "http://deb.debian.org/debian";
const START: &str = "cargo run --release -- up --sample";
const TEST: &str = "cargo test --workspace";
const INDEX: &str = "http://127.0.0.1:9200";
const HOME: &str = "/root/logmill";
/// Each with all that it compiles.
const LONG: Duration = Duration::from_secs(4 * 3600);
const SOON: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(200);
const LINES: usize = 1000;

/// A Debian in a directory; programs run in it by systemd-nspawn, with this machine's network.
struct Bare {
    root: PathBuf,
}

pub(super) async fn run(room: &Room) -> Result<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(sources.join("README.md"))?;
    for command in [START, TEST] {
        ensure!(readme.lines().any(|line| line.trim() == command), "README.md does not say `{command}`");
    }
    ensure!(http::text(INDEX).await.is_err(), "something answers on {INDEX}: the default ports must be free");
    let packages = packages(&readme)?;
    let bare = Bare::make(&room.dir.join("machine"), &packages, &sources)?;
    println!("  Debian with {} and Rust made", packages.join(", "));

    let (built, first_count) = bare.up(&room.dir).await?;
    println!("  `{START}` compiled and ready after {built:.1} min");
    let began = clock::now();
    let mut tests = bare.start(&room.dir.join("tests.out"), TEST)?;
    let status = ended(&mut tests, TEST, LONG).await?;
    let said = fs::read_to_string(room.dir.join("tests.out"))?;
    let results: Vec<&str> = said.lines().filter(|line| line.starts_with("test result: ")).collect();
    ensure!(status == 0, "`{TEST}` ended with {status}, see {}", room.dir.join("tests.out").display());
    let passed: u64 = results.iter().filter_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok()).sum();
    ensure!(passed > 0, "`{TEST}` ran no test");
    Ok(format!(
        "Debian with {}: `{START}` ready after {built:.1} min, {first_count} sample lines and {LINES} more indexed, stopped in order; `{TEST}`: \
         {passed} tests passed after {:.1} min",
        packages.join(", "),
        began.elapsed().as_secs_f64() / 60.0
    ))
}

/// What README.md says is to be installed.
fn packages(readme: &str) -> Result<Vec<String>> {
    let (_, rest) = readme.split_once("`apt install ").context("README.md names no packages")?;
    let (names, _) = rest.split_once('`').context("README.md's `apt install` does not end")?;
    Ok(names.split_whitespace().map(str::to_owned).collect())
}

impl Bare {
    fn make(root: &Path, packages: &[String], sources: &Path) -> Result<Self> {
        // Of the certificates only the package is Debian's own: what signs for the registry here is this machine's.
        let include = format!("--include=ca-certificates,{}", packages.join(","));
        let debootstrap = ["--variant=minbase", &include, "bookworm"];
        said(Command::new("debootstrap").args(debootstrap).arg(root).arg(MIRROR), "debootstrap")?;
        let sysroot = said(Command::new("rustc").args(["--print", "sysroot"]), "rustc")?;
        let toolchain = root.join("usr/local/toolchain");
        fs::create_dir_all(&toolchain)?;
        for part in ["bin", "lib", "libexec"] {
            let from = Path::new(sysroot.trim()).join(part);
            if from.exists() {
                said(Command::new("cp").arg("-a").arg(from).arg(&toolchain), "cp")?;
            }
        }
        for file in ["etc/ssl/certs/ca-certificates.crt", "etc/resolv.conf", "etc/hosts"] {
            let to = root.join(file);
            let _ = fs::remove_file(&to);
            fs::copy(Path::new("/").join(file), to).with_context(|| file.to_owned())?;
        }
        let home = root.join(HOME.trim_start_matches('/'));
        said(Command::new("git").args(["clone", "--quiet", "--no-hardlinks"]).arg(sources).arg(&home), "git")?;
        Ok(Self { root: root.to_owned() })
    }

    /// Starts what a shell in the sources would run.
    fn start(&self, output: &Path, script: &str) -> Result<Child> {
        let log = fs::File::create(output)?;
        let path = "PATH=/usr/local/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        Command::new("systemd-nspawn")
            .args(["--quiet", "--register=no", "--keep-unit", "--pipe", "--as-pid2", "--resolv-conf=off"])
            .args(["--chdir", HOME, "--setenv", path, "--directory"])
            .arg(&self.root)
            .args(["/bin/sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting systemd-nspawn (Debian's package systemd-container)")
    }

    /// The first command, from sources to documents: minutes until it was ready, and the documents of its sample.
    async fn up(&self, dir: &Path) -> Result<(f64, u64)> {
        let (began, output) = (clock::now(), dir.join("up.out"));
        // What ends it is a signal to the process that cargo has become, as by Ctrl-C.
        let script = format!(
            "{START} & up=$!\nuntil [ -e stop ]; do kill -0 $up || break; sleep 1; done\nkill -INT $up\nwait $up"
        );
        let mut running = self.start(&output, &script)?;
        let ready = clock::until("`up` to be ready", LONG, TICK, || async {
            Ok(fs::read_to_string(&output)?.lines().any(|line| line == "ready").then_some(()))
        });
        tokio::select! {
            ready = ready => ready?,
            status = ended(&mut running, START, LONG) => anyhow::bail!("`{START}` ended with {}, see {}", status?, output.display()),
        }
        let built = began.elapsed().as_secs_f64() / 60.0;
        let sample = clock::until("the sample to be indexed", SOON, TICK, || async {
            Ok(Some(count("message:*").await?).filter(|found| *found > 0))
        })
        .await?;
        let text: String = (0..LINES).map(|n| format!("bareline number {n}\n")).collect();
        fs::write(self.root.join(HOME.trim_start_matches('/')).join("logs/bare.log"), text)?;
        clock::until("the lines to be indexed", SOON, TICK, || async {
            Ok((count("message:bareline").await? == LINES as u64).then_some(()))
        })
        .await?;
        fs::write(self.root.join(HOME.trim_start_matches('/')).join("stop"), "")?;
        let status = ended(&mut running, START, SOON).await?;
        ensure!(status == 0, "`{START}` stopped with {status}, see {}", output.display());
        Ok((built, sample))
    }
}

async fn count(query: &str) -> Result<u64> {
    let body = json!({"query": {"query_string": {"query": query}}});
    let found = http::json("POST", &format!("{INDEX}/_all/_count"), Some(&body)).await?;
    found["count"].as_u64().context("no count")
}

async fn ended(child: &mut Child, what: &str, within: Duration) -> Result<i32> {
    let child = std::cell::RefCell::new(child);
    clock::until(what, within, TICK, || async {
        Ok(child.borrow_mut().try_wait()?.map(|status| status.code().unwrap_or(-1)))
    })
    .await
}
