//! Lines as the programs write them, and the fields they give.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use logmill_config::{
    ConfigFile,
    agent::{AgentConfig, Parse},
};
use serde_json::json;

use super::*;

fn format(parse: Parse, zone: &str, numbers: &[&str]) -> Format {
    let text = "inputs: [{ name: a, include: [a], topic: t }]";
    let mut input = AgentConfig::parse_with("a.yaml", text, &|_| None).unwrap().inputs.remove(0);
    input.timezone = if zone == "UTC" {
        TimeZone::UTC
    } else {
        TimeZone::fixed(jiff::tz::Offset::from_hours(zone.parse().unwrap()).unwrap())
    };
    (input.parse, input.numbers) = (parse, numbers.iter().map(|n| (*n).to_owned()).collect());
    match Parser::new(&input).unwrap() {
        Parser::Fields(format) => format,
        other => panic!("{other:?} has no format"),
    }
}

fn read() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

fn found(format: &Format, line: &str) -> (Value, String) {
    let parsed = format.parse(line, read()).unwrap_or_else(|| panic!("does not fit: {line}"));
    (Value::Object(parsed.fields), parsed.time.map_or_else(String::new, |t| t.to_string()))
}

#[test]
fn access_logs() {
    let nginx = format(Parse::Nginx, "UTC", &[]);
    let line = r#"192.0.2.7 - ann [10/Oct/2025:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 2326 "https://example.org/" "Mozilla/5.0 (\"x\")" 0.004"#;
    let (fields, time) = found(&nginx, line);
    assert_eq!(time, "2025-10-10T20:55:36Z");
    let expected = json!({
        "message": line,
        "source": {"address": "192.0.2.7", "ip": "192.0.2.7"},
        "user": {"name": "ann"},
        "http": {
            "version": "1.1",
            "request": {"method": "GET", "referrer": "https://example.org/"},
            "response": {"status_code": 200, "body": {"bytes": 2326}},
        },
        "url": {"original": "/a?b=c"},
        "user_agent": {"original": r#"Mozilla/5.0 (\"x\")"#},
    });
    assert_eq!(fields, expected);
    let common = r#"example.org:443 2001:db8::1 - - [10/Oct/2025:13:55:36 +0000] "\x16\x03" 400 -"#;
    let (fields, _) = found(&format(Parse::Apache, "UTC", &[]), common);
    assert_eq!(fields["url"], json!({"domain": "example.org", "port": 443}));
    assert_eq!(fields["http"], json!({"response": {"status_code": 400}}));
    assert_eq!(fields["source"]["ip"], "2001:db8::1");
    assert_eq!(fields["message"], common);
    for other in ["", "-", "a b c", r#"1 - - [10/Oct/2025] "GET / HTTP/1.1" 200 1"#, "1 - - [x] \"GET", "{\"a\":1}"] {
        assert_eq!(nginx.parse(other, read()), None, "{other}");
    }
}

#[test]
fn error_logs() {
    let line = "2025/10/10 13:55:36 [error] 31#32: *5 open() failed, client: 192.0.2.1, server: _";
    let (fields, time) = found(&format(Parse::Nginx, "2", &[]), line);
    assert_eq!(time, "2025-10-10T11:55:36Z");
    assert_eq!(fields["message"], "*5 open() failed, client: 192.0.2.1, server: _");
    assert_eq!(fields["process"], json!({"pid": 31, "thread": {"id": 32}}));
    assert_eq!((&fields["log"]["level"], &fields["source"]["ip"]), (&json!("error"), &json!("192.0.2.1")));
    let apache = format(Parse::Apache, "UTC", &[]);
    let line = "[Fri Oct 10 13:55:36.123456 2025] [core:warn] [pid 31:tid 32] [client 192.0.2.1:5000] AH1: gone";
    let (fields, time) = found(&apache, line);
    assert_eq!((time.as_str(), &fields["message"]), ("2025-10-10T13:55:36.123456Z", &json!("AH1: gone")));
    assert_eq!((&fields["log"]["level"], &fields["source"]["ip"]), (&json!("warn"), &json!("192.0.2.1")));
    let (fields, time) = found(&apache, "[Fri Oct 10 13:55:36 2025] [error] [client 2001:db8::1] old");
    assert_eq!((time.as_str(), &fields["source"]["ip"]), ("2025-10-10T13:55:36Z", &json!("2001:db8::1")));
}

#[test]
fn syslog_old_and_new() {
    let syslog = format(Parse::Syslog, "UTC", &[]);
    let (fields, time) = found(&syslog, "<34>Dec 31 22:14:15 web-1 su[77]: 'su root' failed");
    assert_eq!(time, "2025-12-31T22:14:15Z", "of last year, since it was read in January");
    assert_eq!(fields["message"], "'su root' failed");
    assert_eq!(fields["process"], json!({"name": "su", "pid": 77}));
    assert_eq!(fields["host"], json!({"hostname": "web-1"}));
    assert_eq!(fields["log"]["syslog"]["severity"], json!({"code": 2}));
    assert_eq!(fields["log"]["level"], "critical");
    assert_eq!(found(&syslog, "Jan  6 01:02:03 h kernel: x").1, "2026-01-06T01:02:03Z", "a clock may be ahead");
    let (fields, time) = found(&syslog, "2025-10-10T13:55:36.5+02:00 h app: text: more");
    assert_eq!((time.as_str(), &fields["message"]), ("2025-10-10T11:55:36.5Z", &json!("text: more")));
    let line = r#"<165>1 2025-10-11T22:14:15.003Z h app x1 ID47 [a@1.2 k="v \"q\" \]" n="2"][b] all well"#;
    let (fields, time) = found(&syslog, line);
    assert_eq!((time.as_str(), &fields["message"]), ("2025-10-11T22:14:15.003Z", &json!("all well")));
    let data = &fields["log"]["syslog"]["structured_data"];
    assert_eq!(data["a@1_2"], json!({"k": "v \"q\" ]", "n": "2"}));
    assert_eq!(fields["log"]["syslog"]["procid"], "x1");
    assert_eq!(found(&syslog, "<14>1 - - - - - -").0["log"]["syslog"]["priority"], 14);
    for other in ["", "<", "<999>Jan  6 01:02:03 h x: y", "Jan 32 01:02:03 h x: y", "hello world", "Ja\u{301}"] {
        assert_eq!(syslog.parse(other, read()), None, "{other}");
    }
}

#[test]
fn logfmt_values() {
    let logfmt = format(Parse::Logfmt, "UTC", &["status", "took"]);
    let line =
        r#"ts=2025-10-10T13:55:36Z level=info msg="signed up \"x\"\n" status=200 took=fast user.id=7 flag empty="#;
    let (fields, time) = found(&logfmt, line);
    assert_eq!(time, "2025-10-10T13:55:36Z");
    let expected = json!({
        "ts": "2025-10-10T13:55:36Z", "level": "info", "message": "signed up \"x\"\n", "status": 200,
        "labels": {"took": "fast"}, "user": {"id": "7"}, "flag": "", "empty": "",
    });
    assert_eq!(fields, expected);
    for other in ["", "plain text", "a=\"open", "=x", "x =y"] {
        assert_eq!(logfmt.parse(other, read()), None, "{other}");
    }
}

#[test]
fn a_regular_expression_of_ones_own() {
    let pattern = r"^(?<timestamp>\S+ \S+) \[(?<log__level>\w+)\] (?<took>\d+)ms (?<message>.*)$";
    let parse = |time: Option<&str>| Parse::Regex { pattern: pattern.into(), time: time.map(str::to_owned) };
    let regex = format(parse(Some("%Y-%m-%d %H:%M:%S")), "-3", &["took"]);
    let (fields, time) = found(&regex, "2025-10-10 13:55:36 [warn] 12ms slow");
    assert_eq!(time, "2025-10-10T16:55:36Z");
    assert_eq!(fields, json!({"message": "slow", "log": {"level": "warn"}, "took": 12}));
    assert_eq!(regex.parse("something else", read()), None);
    assert_eq!(regex.parse("2025-13-10 13:55:36 [warn] 12ms slow", read()), None, "a time that is none");
    assert_eq!(format(parse(None), "UTC", &[]).parse("2025-10-10 13:55:36 [warn] 12ms slow", read()), None);
}

fn grok(pattern: &str, own: &[(&str, &str)], time: Option<&str>) -> Format {
    let own = own.iter().map(|(name, pattern)| ((*name).to_owned(), (*pattern).to_owned())).collect();
    format(Parse::Grok { pattern: pattern.into(), own, time: time.map(str::to_owned) }, "UTC", &[])
}

#[test]
fn grok_patterns() {
    let pattern = r"^%{IPORHOST:source.address} \[%{HTTPDATE:timestamp}\] %{ORDER:[order][id]} %{INT:took:int}(?: %{NUMBER:ratio:float})?";
    let orders = grok(pattern, &[("ORDER", r"[A-Z]{2}\d+")], Some("%d/%b/%Y:%H:%M:%S %z"));
    let line = "192.0.2.7 [10/Oct/2025:13:55:36 -0700] DE17 12 0.5";
    let (fields, time) = found(&orders, line);
    assert_eq!(time, "2025-10-10T20:55:36Z");
    let expected = json!({
        "message": line, "source": {"address": "192.0.2.7"}, "order": {"id": "DE17"}, "took": 12, "ratio": 0.5,
    });
    assert_eq!(fields, expected);
    assert_eq!(found(&orders, "h [10/Oct/2025:13:55:36 -0700] DE17 12").0.get("ratio"), None);
    assert_eq!(orders.parse("192.0.2.7 DE17 12", read()), None);
    let either = grok("^(?:a=%{INT:n:int}|b=%{INT:n:int}) %{GREEDYDATA:message}", &[], None);
    assert_eq!(found(&either, "a=1 x y").0, json!({"message": "x y", "n": 1}));
    assert_eq!(found(&either, "b=2 z").0, json!({"message": "z", "n": 2}));
}

#[test]
fn patterns_that_backtrack_come_to_an_end() {
    let slow = grok(r"(?<a>a+)+\k<a>$%{WORD:w}", &[], None);
    assert_eq!(slow.parse(&format!("{}!", "a".repeat(5000)), read()), None);
}

fn csv(columns: &[&str], delimiter: u8, numbers: &[&str]) -> Format {
    let columns = columns.iter().map(|c| (*c != "_").then(|| (*c).to_owned())).collect();
    format(Parse::Csv { columns, delimiter, time: None }, "UTC", numbers)
}

#[test]
fn columns() {
    let orders = csv(&["timestamp", "log.level", "_", "message", "took"], b',', &["took"]);
    let (fields, time) = found(&orders, "2025-10-10T13:55:36Z,warn,secret,\"slow, \"\"very\"\" é\",12");
    assert_eq!(time, "2025-10-10T13:55:36Z");
    assert_eq!(fields, json!({"message": "slow, \"very\" é", "log": {"level": "warn"}, "took": 12}));
    let (fields, _) = found(&orders, "1760104536,,,,");
    assert_eq!(fields, json!({"message": "1760104536,,,,"}));
    let header = "timestamp,level,secret,message,took";
    for other in ["", "1760104536,a,b,c", "1760104536,a,b,c,1,2", "1760104536,a,b,c,1,", header, "\"open,a,b,c,1"] {
        assert_eq!(orders.parse(other, read()), None, "{other}");
    }
    assert_eq!(found(&csv(&["a", "b"], b'\t', &[]), "1\t2").0, json!({"message": "1\t2", "a": "1", "b": "2"}));
    assert_eq!(found(&csv(&["a"], b';', &[]), "x,y").0, json!({"message": "x,y", "a": "x,y"}));
}

proptest::proptest! {
    #[test]
    fn nothing_panics(line in "\\PC{0,80}", cut in "[\\[\\]\"<>=\\\\: a1-]{0,60}") {
        for kind in [Parse::Logfmt, Parse::Nginx, Parse::Apache, Parse::Syslog] {
            let format = format(kind, "UTC", &["a"]);
            for text in [&line, &cut, &format!("<1>{line}"), &format!("<1>1 {cut}"), &format!("[{line}] {cut}")] {
                format.parse(text, read());
            }
        }
        for format in [csv(&["a", "b"], b',', &["a"]), grok(r"%{WORD:a:int}\[?%{GREEDYDATA:b}", &[], None)] {
            format.parse(&line, read());
            format.parse(&cut, read());
        }
    }
}
