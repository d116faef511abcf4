//! Asking a daemon on this machine how it is, for health checks of containers: no curl is needed in the image.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// For connecting, and again for each read.
const PATIENCE: Duration = Duration::from_secs(3);
/// An answer is a line per part, or per file.
const MAX_ANSWER: u64 = 64 << 20;

/// Asks `/health/live` or `/health/ready` (`question`) of the daemon that serves its metrics at `metrics`: its words when
/// it is well, else what is wrong.
pub fn health(metrics: SocketAddr, question: &str) -> Result<String, String> {
    health_or_page(metrics, &format!("/health/{question}"))
}

/// One of the daemon's own pages.
pub fn page(metrics: SocketAddr, name: &str) -> Result<String, String> {
    health_or_page(metrics, &format!("/{name}"))
}

fn health_or_page(metrics: SocketAddr, path: &str) -> Result<String, String> {
    let address = reachable(metrics);
    let answer = ask(address, path).map_err(|e| format!("{address} does not answer: {e}"))?;
    match parse(&answer) {
        Some((200, words)) => Ok(words.to_owned()),
        Some((_, words)) => Err(words.to_owned()),
        None => Err(format!("{address} does not speak HTTP")),
    }
}

/// Who listens on every address is asked on the loopback one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Status and body.
fn parse(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, body.trim_end()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::{Context, http, listen};

    #[test]
    fn answers() {
        assert_eq!(parse("HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\nnot ready\n"), Some((503, "not ready")));
        assert_eq!(parse("SSH-2.0-OpenSSH"), None);
        assert_eq!(parse("HTTP/1.1 2\r\n\r\n"), None);
        assert_eq!(reachable("0.0.0.0:9602".parse().unwrap()), "127.0.0.1:9602".parse().unwrap());
        assert_eq!(reachable("[::]:9602".parse().unwrap()), "[::1]:9602".parse().unwrap());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_daemon_is_asked() {
        let context = Context::new();
        let listener = listen::bind("metrics", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = http::serve(listener, &context);
        let ask = |question: &'static str| tokio::task::spawn_blocking(move || health(address, question));
        assert_eq!(ask("live").await.unwrap(), Ok("live".into()));
        assert_eq!(ask("ready").await.unwrap(), Err("not ready: starting".into()));
        let pulse = context.progress.watch("reader", Duration::ZERO);
        pulse.working();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let words = ask("live").await.unwrap().unwrap_err();
        assert!(words.starts_with("not live: reader: no progress"), "{words}");
        server.abort();
        drop(server.await);
        assert!(ask("live").await.unwrap().unwrap_err().contains("does not answer"));
    }
}
