//! Reading a `_bulk` answer: once over the bytes, allocating only for what failed.

use std::{borrow::Cow, fmt};

use logmill_config::sinks::{Op, Version};
use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::classify;
use crate::connector::{Outcome, Outcomes};

/// `error` of an item or a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fault<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) reason: Cow<'a, str>,
}

/// Bytes of a reason kept for logs and dead letters: some quote the whole document.
const REASON_BYTES: usize = 1000;

impl Fault<'_> {
    pub(super) fn words(&self, status: u16) -> String {
        let mut reason = match (self.kind.is_empty(), self.reason.is_empty()) {
            (true, true) => format!("status {status}"),
            (true, false) => format!("status {status}: {}", self.reason),
            (false, _) => format!("{status} {}: {}", self.kind, self.reason),
        };
        if reason.len() > REASON_BYTES {
            let cut = (0..=REASON_BYTES).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
            reason.truncate(cut);
            reason.push('…');
        }
        reason
    }
}

/// The outcomes of `items` operations, those that take one with a version. An answer that is broken or counts otherwise says nothing about any
/// of them: all are tried again.
pub(super) fn outcomes(version: Version, body: &[u8], items: usize) -> Outcomes {
    if are_plainly_done(body, items) {
        return Outcomes::All(Outcome::Done { duplicate: false });
    }
    let retry = |reason: String| Outcomes::All(Outcome::Retry { reason });
    let answer: Answer<'_> = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(e) => return retry(format!("the answer to _bulk cannot be read: {e}")),
    };
    if answer.items.count != items {
        return retry(format!("the answer to _bulk has {} items, expected {items}", answer.items.count));
    }
    // `errors` is only a hint: what counts is the items.
    if answer.items.odd.is_empty() {
        return Outcomes::All(Outcome::Done { duplicate: false });
    }
    let mut each = vec![Outcome::Done { duplicate: false }; items];
    for (at, op, item) in answer.items.odd {
        if let Some(slot) = each.get_mut(at) {
            *slot = if item.is_aside() {
                classify::aside()
            } else {
                classify::item(op, version, item.status, item.error.map(|e| e.0))
            };
        }
    }
    Outcomes::Each(each)
}

/// Whether a node says that nothing failed and has taken each item, in the very bytes in which nodes say so: by far the
/// most answers are read by this alone, and all others in full.
fn are_plainly_done(body: &[u8], items: usize) -> bool {
    let Some(mut rest) = body.strip_prefix(b"{\"errors\":false,\"items\":[") else { return false };
    for left in (0..items).rev() {
        let Some(item) = taken(rest) else { return false };
        let end: &[u8] = if left > 0 { b"," } else { b"]}" };
        let Some(next) = item.strip_prefix(end) else { return false };
        rest = next;
    }
    rest.is_empty()
}

/// What stands behind an item that was taken.
fn taken(item: &[u8]) -> Option<&[u8]> {
    let verb = item.strip_prefix(b"{\"")?;
    let status = [&b"create"[..], b"index", b"update", b"delete"].iter().find_map(|name| verb.strip_prefix(*name))?;
    match status.strip_prefix(b"\":{\"status\":20")? {
        [b'0' | b'1', b'}', b'}', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// The error of a request that failed as a whole; empty or the beginning of the text where the body is no JSON
/// (a proxy's page).
pub(super) fn request_error(body: &[u8]) -> Fault<'_> {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(borrow)]
        error: Option<Reported<'a>>,
    }
    match serde_json::from_slice::<Whole<'_>>(body) {
        Ok(Whole { error: Some(error) }) => error.0,
        _ => {
            let start = body.get(..body.len().min(200)).unwrap_or_default();
            Fault { kind: Cow::Borrowed(""), reason: Cow::Owned(String::from_utf8_lossy(start).trim().to_owned()) }
        }
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    items: Items<'a>,
}

/// Only what is not plainly done is kept.
struct Items<'a> {
    count: usize,
    odd: Vec<(usize, Op, ItemBody<'a>)>,
}

#[derive(Deserialize)]
struct ItemBody<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: Option<Reported<'a>>,
    #[serde(borrow, default)]
    failure_store: Option<Cow<'a, str>>,
}

impl ItemBody<'_> {
    /// Answered as a success, but put into the data stream's failure store.
    fn is_aside(&self) -> bool {
        self.failure_store.as_deref() == Some("used")
    }

    fn is_plain(&self) -> bool {
        (200..300).contains(&self.status) && self.error.is_none() && !self.is_aside()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for All<'a> {
            type Value = Items<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the items of a bulk answer")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'a>, A::Error> {
                let mut items = Items { count: 0, odd: Vec::new() };
                while let Some(Wrapped(op, item)) = seq.next_element::<Wrapped<'a>>()? {
                    if !item.is_plain() {
                        items.odd.push((items.count, op, item));
                    }
                    items.count += 1;
                }
                Ok(items)
            }
        }
        deserializer.deserialize_seq(All(std::marker::PhantomData))
    }
}

/// `{"create": {…}}`.
struct Wrapped<'a>(Op, ItemBody<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Wrapped<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for One<'a> {
            type Value = Wrapped<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item of a bulk answer")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wrapped<'a>, A::Error> {
                let mut item = None;
                while let Some(Verb(op)) = map.next_key()? {
                    item = Some(Wrapped(op, map.next_value()?));
                }
                item.ok_or_else(|| serde::de::Error::custom("an item without an operation"))
            }
        }
        deserializer.deserialize_map(One(std::marker::PhantomData))
    }
}

struct Verb(Op);

impl<'de> Deserialize<'de> for Verb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Verb(match text.as_ref() {
            "create" => Op::Create,
            "index" => Op::Index,
            "update" => Op::Update,
            "delete" => Op::Delete,
            other => return Err(serde::de::Error::custom(format!("an item of the unknown operation {other:?}"))),
        }))
    }
}

/// `{"type","reason",…}`, or a plain string as some answers have it.
struct Reported<'a>(Fault<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Reported<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Any<'a> {
            type Value = Reported<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an error")
            }
            fn visit_str<E>(self, v: &str) -> Result<Reported<'a>, E> {
                Ok(Reported(Fault { kind: Cow::Borrowed(""), reason: Cow::Owned(v.to_owned()) }))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reported<'a>, A::Error> {
                let (mut fault, mut cause) = (Fault::default(), Fault::default());
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    match key.as_ref() {
                        "type" => fault.kind = Cow::Owned(map.next_value::<Option<String>>()?.unwrap_or_default()),
                        "reason" => fault.reason = Cow::Owned(map.next_value::<Option<String>>()?.unwrap_or_default()),
                        // The reason behind it says more: "failed to parse" is caused by "number too large".
                        "caused_by" => {
                            cause = map.next_value::<Option<Reported<'_>>>()?.map(|r| r.0).unwrap_or_default();
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                if !cause.reason.is_empty() && !fault.reason.contains(cause.reason.as_ref()) {
                    fault.reason = Cow::Owned(format!("{}: {}", fault.reason, cause.reason));
                }
                Ok(Reported(fault))
            }
        }
        deserializer.deserialize_any(Any(std::marker::PhantomData))
    }
}
