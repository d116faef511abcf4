//! Access logs of nginx and Apache: common and combined, also with the virtual host in front (`vhost_combined`).

use std::net::IpAddr;

use super::{Parsed, cursor::Cursor, time};

const TIME: &str = "%d/%b/%Y:%H:%M:%S %z";

pub(super) fn parse(line: &str) -> Option<Parsed> {
    let Some((name, port, rest)) = virtual_host(line) else { return from_client(line) };
    let mut parsed = from_client(rest)?;
    parsed.text("message", line);
    parsed.text("url.domain", name);
    parsed.number("url.port", port);
    Some(parsed)
}

/// `name:port` in front of the client, and what follows. Behind a client the identity comes, which nobody gives (`-`).
fn virtual_host(line: &str) -> Option<(&str, &str, &str)> {
    let (first, rest) = line.split_once(' ')?;
    let (name, port) = first.rsplit_once(':')?;
    let is_host = port.parse::<u16>().is_ok() && first.parse::<IpAddr>().is_err() && !rest.starts_with("- ");
    is_host.then_some((name, port, rest))
}

/// `client ident user [time] "request" status bytes` and perhaps `"referrer" "user agent"`; more may follow.
fn from_client(line: &str) -> Option<Parsed> {
    let mut rest = Cursor(line);
    let client = rest.word()?;
    rest.word()?;
    // A user's name may have spaces.
    let user = rest.until(" [")?;
    let stamp = rest.until("] ")?;
    let request = rest.quoted()?;
    let status = rest.word().filter(|s| s.len() == 3 && s.bytes().all(|b| b.is_ascii_digit()))?;
    let bytes = rest.word()?;
    let mut parsed = Parsed::with_message(line);
    parsed.time = Some(time(TIME, stamp, &jiff::tz::TimeZone::UTC)?);
    parsed.client(client);
    parsed.text("user.name", user);
    let mut words = Cursor(request);
    if let (Some(method), Some((target, version))) = (words.word(), words.0.rsplit_once(" HTTP/")) {
        parsed.text("http.request.method", method);
        parsed.text("url.original", target);
        parsed.text("http.version", version);
    }
    parsed.number("http.response.status_code", status);
    parsed.number("http.response.body.bytes", bytes);
    if let Some(referrer) = rest.quoted() {
        parsed.text("http.request.referrer", referrer);
    }
    if let Some(agent) = rest.quoted() {
        parsed.text("user_agent.original", agent);
    }
    Some(parsed)
}
