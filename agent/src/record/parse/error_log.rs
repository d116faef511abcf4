//! Error logs of nginx and Apache.

use jiff::tz::TimeZone;

use super::{Parsed, cursor::Cursor, time};

/// `2026/11/21 10:00:00 [error] 31#32: *5 open() failed …, client: 192.0.2.1, server: …`
pub(super) fn nginx(line: &str, zone: &TimeZone) -> Option<Parsed> {
    let stamp = line.get(..19)?;
    let mut rest = Cursor(line.get(19..)?);
    rest.skip(" ")?;
    let level = rest.bracketed()?;
    let process = rest.until("#")?;
    let thread = rest.until(": ")?;
    let mut parsed = Parsed::with_message(rest.0);
    parsed.time = Some(time("%Y/%m/%d %H:%M:%S", stamp, zone)?);
    parsed.text("log.level", level);
    parsed.number("process.pid", process);
    parsed.number("process.thread.id", thread);
    if let Some((_, client)) = rest.0.split_once(", client: ") {
        parsed.client(client.split(',').next().unwrap_or_default());
    }
    Some(parsed)
}

/// `[Sat Nov 21 10:00:00.123456 2026] [core:error] [pid 31:tid 32] [client 192.0.2.1:5000] AH00128: …`; before 2.4
/// without module, process and fraction.
pub(super) fn apache(line: &str, zone: &TimeZone) -> Option<Parsed> {
    let mut rest = Cursor(line);
    let stamp = rest.bracketed()?;
    let level = rest.bracketed()?;
    let time = Some(time("%a %b %d %H:%M:%S%.f %Y", stamp, zone)?);
    let mut parsed = Parsed { time, ..Parsed::default() };
    parsed.text("log.level", level.rsplit_once(':').map_or(level, |(_, level)| level));
    while rest.0.starts_with('[') {
        let part = rest.bracketed()?;
        if let Some(process) = part.strip_prefix("pid ") {
            let (process, thread) = process.split_once(":tid ").unwrap_or((process, ""));
            parsed.number("process.pid", process);
            parsed.number("process.thread.id", thread);
        } else if let Some(client) = part.strip_prefix("client ") {
            let port = |(_, port): &(&str, &str)| port.parse::<u16>().is_ok();
            let address = client.rsplit_once(':').filter(port).filter(|(host, _)| !host.ends_with(':'));
            parsed.client(address.map_or(client, |(host, _)| host));
        }
    }
    parsed.text("message", rest.0);
    Some(parsed)
}
