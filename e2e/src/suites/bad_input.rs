//! Wrong configuration, wrong bytes and wrong files: one clear message each, bounded memory, no loss elsewhere.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{Room, whole};
use crate::{
    clock, generate, http,
    pipeline::{INDICES, Part, Pipeline},
    process::{self, binary},
    readback,
};

pub(super) async fn run(room: &Room) -> Result<String> {
    let make = |name: &str| -> Result<std::path::PathBuf> {
        let dir = room.dir.join(name);
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    };
    configuration(&make("yaml")?).await.context("broken YAML")?;
    start_up(&make("start")?).await.context("start-up")?;
    let grown = bytes(&make("bytes")?).await.context("hostile bytes")?;
    files(&make("files")?).await.context("odd files")?;
    let days = many_days(&make("days")?, if room.is_long() { 400_000 } else { 20_000 }).await.context("400 days")?;
    Ok(format!("{grown}; {days}"))
}

/// Every mistake of a file at once, with file, line, key and suggestion; exit code 78.
async fn configuration(dir: &Path) -> Result<()> {
    let file = dir.join("agent.yaml");
    std::fs::write(
        &file,
        "state_dir: /tmp/x\nkafka: { brokers: [] }\ninputs:\n  - name: app\n    inclde: [\"*.log\"]\n    topic: \"no spaces please\"\n    \
         max_line_bytes: 12parsecs\n    multiline: { start: '(x' }\n",
    )?;
    for program in ["logmill-agent", "logmill"] {
        let path = file.to_string_lossy();
        let args: Vec<&str> = if program == "logmill" { vec!["check", &path] } else { vec!["--config", &path] };
        let (code, out, err) = process::run(&binary(program)?, &args, dir, Duration::from_secs(10)).await?;
        let all = format!("{out}{err}");
        ensure!(code == 78, "{program} ended with {code}: {all}");
        for expected in [
            "agent.yaml:2:",
            "agent.yaml:5:",
            "inclde",
            "include",
            "agent.yaml:6:",
            "agent.yaml:7:",
            "12parsecs",
            "agent.yaml:8:",
            "multiline",
        ] {
            ensure!(all.contains(expected), "{program}: {expected:?} is not in: {all}");
        }
    }
    let (code, _, err) =
        process::run(&binary("logmill-agent")?, &["--no-such-option"], dir, Duration::from_secs(10)).await?;
    ensure!(code == 64, "a wrong option ended with {code}: {err}");
    Ok(())
}

/// A port in use, a data directory in use: one clear message, exit code 1. A missing directory, an unreadable file
/// and a broker that is not there are told and survived.
async fn start_up(dir: &Path) -> Result<()> {
    let mut first = Pipeline::new(dir)?;
    first.start(Part::Broker).await?;
    let yaml = std::fs::read_to_string(first.yaml(Part::Broker))?;
    let refused = |name: &'static str, text: String, expected: &'static [&'static str]| async move {
        let file = dir.join(format!("{name}.yaml"));
        std::fs::write(&file, text)?;
        let args = ["--config", &*file.to_string_lossy()];
        let (code, out, err) = process::run(&binary("logmill-broker")?, &args, dir, Duration::from_secs(10)).await?;
        let all = format!("{out}{err}");
        ensure!(code == 1, "{name}: ended with {code}: {all}");
        ensure!(expected.iter().all(|e| all.contains(e)), "{name}: {expected:?} are not in: {all}");
        ensure!(!all.contains("panicked"), "{name}: {all}");
        anyhow::Ok(())
    };
    let elsewhere =
        yaml.replace("/broker\n", "/other\n").replace(&format!(":{}\"\n", first.port(Part::Broker)), ":0\"\n");
    refused("port-in-use", elsewhere, &["in use"]).await?;
    let same_dir = yaml
        .replace(first.brokers.as_str(), "127.0.0.1:0")
        .replace(&format!(":{}\"\n", first.port(Part::Broker)), ":0\"\n");
    refused("same-directory", same_dir, &["broker", "lock"]).await?;

    // Nothing listens where the broker should be, one directory does not exist, one file may not be read (the agent
    // runs as nobody where the test is root).
    std::fs::write(first.logs.join("fine.log"), "a line\n")?;
    let secret = first.logs.join("secret.log");
    std::fs::write(&secret, "unreadable\n")?;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000))?;
    let text = std::fs::read_to_string(first.yaml(Part::Agent))?;
    let missing = format!("    include: [\"{}/missing/*.log\", ", first.dir.display());
    let port = crate::ports::free()?;
    let text = text.replace("    include: [", &missing).replace(&first.brokers, &format!("127.0.0.1:{port}"));
    std::fs::write(first.yaml(Part::Agent), text)?;
    first.start(Part::Agent).await?;
    let log = first.process(Part::Agent)?.log.clone();
    clock::until("the agent's complaints", Duration::from_secs(15), Duration::from_millis(100), || async {
        let text = std::fs::read_to_string(&log)?;
        ensure!(text.contains("missing"), "nothing of the missing directory in: {text}");
        ensure!(text.contains(&port.to_string()), "nothing of the broker in: {text}");
        Ok(Some(()))
    })
    .await?;
    first.stop_all().await
}

/// Random bytes, a huge array count and a 2 GiB frame neither end the broker nor make it reserve memory.
async fn bytes(dir: &Path) -> Result<String> {
    let mut pipeline = Pipeline::new(dir)?;
    pipeline.start(Part::Broker).await?;
    let address = pipeline.brokers.clone();
    let before = pipeline.process(Part::Broker)?.status_kib("VmHWM")?;
    let send = |bytes: &[u8]| -> Result<()> {
        let mut stream = TcpStream::connect(&address)?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        let _ = stream.write_all(bytes);
        let mut answer = [0; 256];
        let _ = stream.read(&mut answer);
        Ok(())
    };
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let noise: Vec<u8> = (0..random.usize(1..2000)).map(|_| random.u8(..)).collect();
        send(&noise)?;
        // The same behind a believable length and header.
        let mut framed = u32::try_from(noise.len() + 10)?.to_be_bytes().to_vec();
        framed.extend([0, random.u8(0..80), 0, random.u8(0..13), 0, 0, 0, 1, 0xff, 0xff]);
        framed.extend(&noise);
        send(&framed)?;
    }
    let mut open = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(&address)?;
        stream.write_all(&i32::MAX.to_be_bytes())?;
        stream.write_all(&[0; 64])?;
        open.push(stream);
    }
    // Metadata v1 asking for 2^31-1 topics in a frame of a few bytes.
    let mut huge = vec![0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff];
    huge.extend(i32::MAX.to_be_bytes());
    let mut framed = u32::try_from(huge.len())?.to_be_bytes().to_vec();
    framed.extend(huge);
    send(&framed)?;
    let after = pipeline.process(Part::Broker)?.status_kib("VmHWM")?;
    ensure!(after < before + 32 * 1024, "the broker grew from {before} to {after} KiB");
    drop(open);
    ensure!(readback::topic_size(&address, "anything").is_ok(), "the broker no longer answers");
    pipeline.stop_all().await?;
    Ok(format!("hostile bytes: peak memory {} to {} MiB", before / 1024, after / 1024))
}

/// Invalid UTF-8, a 10 MB line, an unterminated last line beside ordinary lines.
async fn files(dir: &Path) -> Result<()> {
    let mut pipeline = Pipeline::new(dir)?;
    pipeline.start_all().await?;
    let mut odd = b"caf\xe9 closed\n".to_vec();
    odd.extend(std::iter::repeat_n(b'x', 10 * 1024 * 1024));
    odd.extend(b"\nafter the long line\nunterminated");
    std::fs::write(pipeline.logs.join("odd.log"), &odd)?;
    whole::settled(&pipeline, 4, Duration::from_secs(40)).await?;
    http::json("POST", &format!("{}/_refresh", pipeline.index_url), None).await?;
    let answer = http::json("GET", &format!("{}/{INDICES}/_search?size=10", pipeline.index_url), None).await?;
    let messages: Vec<&str> = answer["hits"]["hits"]
        .as_array()
        .context("no hits")?
        .iter()
        .filter_map(|h| h["_source"]["message"].as_str())
        .collect();
    for expected in ["caf\u{fffd} closed", "after the long line", "unterminated"] {
        ensure!(messages.contains(&expected), "{expected:?} is not among the messages");
    }
    let longest = messages.iter().map(|m| m.len()).max().unwrap_or(0);
    ensure!((200_000..=256 * 1024).contains(&longest), "the long line has {longest} bytes in the index");
    let agent = pipeline.process(Part::Agent)?.status_kib("RssAnon")?;
    ensure!(agent < 64 * 1024, "the agent holds {agent} KiB");
    pipeline.ledger().await?;
    pipeline.stop_all().await
}

/// A file whose lines span 400 days, in mixed order, goes through the index within its memory.
async fn many_days(dir: &Path, lines: u64) -> Result<String> {
    let mut pipeline = Pipeline::new(dir)?;
    pipeline.start_all().await?;
    let mut out = Vec::new();
    let now = clock::epoch_ms();
    for n in 0..lines {
        let day = i64::try_from(n.wrapping_mul(7919) % 400)?;
        generate::line(&mut out, 0, n, generate::Dates::Now, now - day * 86_400_000);
    }
    let start = clock::now();
    std::fs::write(pipeline.logs.join("days.log"), &out)?;
    whole::settled(&pipeline, lines, Duration::from_secs(240)).await?;
    let took = start.elapsed().as_secs_f64();
    let index = pipeline.process(Part::Index)?;
    let memory = index.status_kib("RssAnon")? / 1024;
    ensure!(memory < 256, "the index holds {memory} MiB after 400 days");
    let found = readback::index(&pipeline.index_url, INDICES, 1, lines).await?;
    found.none_missing()?;
    pipeline.stop_all().await?;
    Ok(format!("{lines} lines over 400 days in {took:.1} s, index at {memory} MiB"))
}
