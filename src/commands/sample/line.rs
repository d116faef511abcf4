//! Sample lines: what an application, a shop's visitors and a web server would write.

use std::fmt::Write;

use fastrand::Rng;
use serde_json::json;

use super::Kind;

/// An endless, repeatable sequence of lines.
pub(super) struct Lines {
    kind: Kind,
    rng: Rng,
    now_us: i64,
    step_us: u64,
    number: u64,
    name: String,
}

const LEVELS: [&str; 10] = ["info", "info", "info", "info", "info", "info", "debug", "debug", "warn", "error"];
const SERVICES: [&str; 4] = ["checkout", "catalog", "payment", "search"];
const PATHS: [&str; 8] =
    ["/", "/products", "/products/{}", "/cart", "/checkout", "/search?q=shoes", "/account/orders", "/static/app.{}.js"];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "curl/8.14.1",
];
const EVENTS: [&str; 10] = [
    "page_view",
    "page_view",
    "page_view",
    "page_view",
    "click",
    "click",
    "click",
    "search",
    "add_to_cart",
    "purchase",
];
const ELEMENTS: [&str; 5] = ["buy-button", "menu", "product-image", "newsletter", "footer-link"];

impl Lines {
    pub(super) fn new(kind: Kind, seed: u64, first_ms: i64, name: String, rate: Option<u32>) -> Self {
        let step_us = 2_000_000 / u64::from(rate.unwrap_or(1000).max(1));
        Self { kind, rng: Rng::with_seed(seed), now_us: first_ms.saturating_mul(1000), step_us, number: 0, name }
    }

    /// Appends one line with its newline.
    pub(super) fn push(&mut self, out: &mut String) {
        let step = self.rng.u64(0..=self.step_us);
        self.now_us = self.now_us.saturating_add(i64::try_from(step).unwrap_or(0));
        match self.kind {
            Kind::App => self.app(out),
            Kind::Behavior => self.behavior(out),
            Kind::Nginx => self.nginx(out),
        }
        out.push('\n');
        self.number += 1;
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words.get(self.rng.usize(0..words.len())).copied().unwrap_or_default()
    }

    fn path(&mut self) -> String {
        let number = self.rng.u32(1000..2000).to_string();
        self.pick(&PATHS).replace("{}", &number)
    }

    fn time(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.now_us).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    fn address(&mut self) -> String {
        format!("203.0.113.{}", self.rng.u8(1..=254))
    }

    fn app(&mut self, out: &mut String) {
        let (level, service) = (self.pick(&LEVELS), self.pick(&SERVICES));
        let request = format!("{}-{}", self.name, self.number);
        let (path, took) = (self.path(), self.rng.u32(1..900));
        let status = match level {
            "error" => 500,
            "warn" => 404,
            _ => 200,
        };
        let message = match level {
            "error" => format!("request failed: upstream {service} timed out after {took} ms"),
            "warn" => format!("{path} not found"),
            "debug" => format!("cache hit for {path}"),
            _ => format!("GET {path} answered in {took} ms"),
        };
        // About one line in four is plain text, as from a library that knows nothing of the JSON log.
        let plain = self.rng.u8(0..4) == 0;
        let time = self.time();
        // Writing to a String cannot fail.
        let _ = if plain {
            write!(out, "{time:.3} {} [{service}] {message} request_id={request}", level.to_uppercase())
        } else {
            let line = json!({
                "@timestamp": format!("{time:.3}"), "level": level, "service": { "name": service },
                "message": message, "request_id": request, "path": path, "status": status, "took_ms": took,
            });
            write!(out, "{line}")
        };
    }

    fn behavior(&mut self, out: &mut String) {
        let event = self.pick(&EVENTS);
        let visitor = self.rng.u32(0..5000);
        let mut line = json!({
            "@timestamp": format!("{:.3}", self.time()), "event": event, "event_id": format!("{}-{}", self.name, self.number),
            "anonymous_id": format!("v-{visitor:05}"), "session": format!("s-{visitor:05}-{}", self.rng.u8(0..3)),
            "page": self.path(), "device": self.pick(&["mobile", "desktop", "tablet"]), "ip": self.address(),
        });
        let more = match event {
            "click" => {
                json!({ "element": self.pick(&ELEMENTS), "x": self.rng.u16(0..1920), "y": self.rng.u16(0..1080) })
            }
            "search" => {
                json!({ "query": self.pick(&["shoes", "red shoes", "jacket", "gift"]), "results": self.rng.u8(0..60) })
            }
            "purchase" => {
                json!({ "order": format!("o-{}", self.number), "amount": f64::from(self.rng.u32(500..20_000)) / 100.0, "currency": "EUR" })
            }
            "add_to_cart" => json!({ "product": self.rng.u32(1000..2000), "quantity": self.rng.u8(1..4) }),
            _ => json!({ "referrer": self.pick(&["https://search.example/", "https://news.example/", ""]) }),
        };
        if let (Some(line), serde_json::Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        let _ = write!(out, "{line}");
    }

    fn nginx(&mut self, out: &mut String) {
        let (address, path, agent) = (self.address(), self.path(), self.pick(&AGENTS));
        let status = [200, 200, 200, 200, 200, 301, 304, 404, 500][self.rng.usize(0..9)];
        let (bytes, method) = (self.rng.u32(150..60_000), self.pick(&["GET", "GET", "GET", "GET", "POST"]));
        let time = self.time().strftime("%d/%b/%Y:%H:%M:%S +0000");
        let referrer = self.pick(&["-", "https://shop.example/", "https://search.example/"]);
        let _ =
            write!(out, r#"{address} - - [{time}] "{method} {path} HTTP/1.1" {status} {bytes} "{referrer}" "{agent}""#);
    }
}
