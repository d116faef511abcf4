//! A newer configuration on the sinks at work: those that it leaves out stop, those that it changes restart, those that it adds
//! start, and the others go on.

use std::collections::BTreeSet;

use logmill_config::sinks::{Sink, SinksConfig};
use logmill_daemon::context::Context;
use tokio::runtime::Handle;

use crate::{
    consumer::Shares,
    error::SinksError,
    metrics::Metrics,
    partitions::Counted,
    sink::{Prepared, Running},
    status::Board,
};

/// What becomes of one sink at work.
#[derive(Debug, PartialEq)]
enum Fate<'a> {
    GoesOn,
    Stops,
    Restarts(&'a Sink),
}

/// The sinks that are at work then.
pub(crate) async fn reloaded(
    running: Vec<Running>,
    newer: &SinksConfig,
    metrics: &Metrics,
    context: &Context,
    board: &Board,
) -> Vec<Running> {
    let old: Vec<Sink> = running.iter().map(|sink| sink.sink().clone()).collect();
    let mut after = Vec::with_capacity(newer.sinks.len());
    let mut again = Vec::new();
    // First those that stop: what they held, a group or a file, is free for another.
    for sink in running {
        match fate(sink.sink(), &old, &newer.sinks) {
            Fate::GoesOn => after.push(sink),
            Fate::Stops => {
                let name = sink.sink().name.clone();
                let _ = sink.stopped().await;
                board.remove(&name);
                metrics.forget(&name);
                tracing::info!(sink = %name, "stopped, it is configured no more");
            }
            Fate::Restarts(new) => again.push((sink, new)),
        }
    }
    let share = Shares::of(newer.buffer_bytes, newer.sinks.len());
    after.iter().for_each(|sink| sink.shared().budget.limit_to(share.records));
    for (sink, new) in again {
        let old = sink.sink().clone();
        let counted = sink.stopped().await;
        tracing::info!(sink = %old.name, "restarts with its changed configuration");
        // Counts are a group's.
        let counts = if new.group == old.group { counted.clone() } else { Counted::default() };
        match started(newer, new, metrics, context, counts) {
            Ok(sink) => after.push(sink),
            Err(e) => {
                tracing::error!(sink = %old.name, "goes on as before, the changed configuration does not work: {e}");
                after.extend(started_or_told(newer, &old, metrics, context, counted));
            }
        }
    }
    for new in &newer.sinks {
        if old.iter().all(|old| old.name != new.name) {
            let sink = started_or_told(newer, new, metrics, context, Counted::default());
            if sink.is_some() {
                tracing::info!(sink = %new.name, "started, it is configured from now on");
            }
            after.extend(sink);
        }
    }
    // Also of those that could not start.
    context.health.forget(|part| is_gone(part, &newer.sinks));
    after.iter().for_each(|sink| board.put(sink.shared()));
    after
}

/// Whether a part of the health is that of a sink that is not configured.
fn is_gone(part: &str, sinks: &[Sink]) -> bool {
    let of = |sink: &Sink| {
        part.strip_prefix("sink ")
            .and_then(|rest| rest.strip_prefix(&*sink.name))
            .is_some_and(|rest| matches!(rest, "" | " dead letters"))
    };
    part.starts_with("sink ") && !sinks.iter().any(of)
}

fn started(
    config: &SinksConfig,
    sink: &Sink,
    metrics: &Metrics,
    context: &Context,
    counted: Counted,
) -> Result<Running, SinksError> {
    Prepared::new(config, sink, metrics, context, counted)?.start(Handle::current())
}

/// As [`started`]: a sink that cannot is a part that is not ready, and the others are at work.
fn started_or_told(
    config: &SinksConfig,
    sink: &Sink,
    metrics: &Metrics,
    context: &Context,
    counted: Counted,
) -> Option<Running> {
    let told = |e: &SinksError| {
        tracing::error!(sink = %sink.name, "cannot start: {e}");
        context.health.set(&format!("sink {}", sink.name), Err(format!("cannot start: {e}")));
    };
    started(config, sink, metrics, context, counted).inspect_err(told).ok()
}

fn fate<'a>(sink: &Sink, old: &[Sink], newer: &'a [Sink]) -> Fate<'a> {
    let Some(new) = newer.iter().find(|new| new.name == sink.name) else { return Fate::Stops };
    // A pattern must not match a topic of dead letters, which it learns when it subscribes.
    let by_pattern = sink.topics.iter().any(|topic| topic.starts_with('^'));
    if new != sink || by_pattern && dead(old) != dead(newer) { Fate::Restarts(new) } else { Fate::GoesOn }
}

fn dead(sinks: &[Sink]) -> BTreeSet<&str> {
    sinks.iter().map(|sink| sink.dead_letters.topic.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use logmill_config::ConfigFile;

    use super::*;

    fn sinks(text: &str) -> Vec<Sink> {
        SinksConfig::parse_with("s", &format!("sinks: [{text}]"), &|_| None).unwrap_or_else(|e| panic!("{e}")).sinks
    }

    fn sink(name: &str, topic: &str) -> String {
        format!("{{ name: {name}, topics: ['{topic}'], webhook: {{ url: 'http://h' }} }},")
    }

    #[test]
    fn a_part_of_no_sink_is_gone() {
        let sinks = sinks(&sink("app", "t"));
        for (part, gone) in [
            ("sink app", false),
            ("sink app dead letters", false),
            ("broker", false),
            ("sink ap", true),
            ("sink app2", true),
            ("sink old dead letters", true),
        ] {
            assert_eq!(is_gone(part, &sinks), gone, "{part}");
        }
    }

    #[test]
    fn only_what_a_change_is_about_is_touched() {
        let old = sinks(&(sink("a", "t") + &sink("b", "t") + &sink("p", "^l")));
        let fates = |newer: &[Sink]| -> Vec<String> {
            old.iter().map(|sink| format!("{:?}", fate(sink, &old, newer)).chars().take(8).collect()).collect()
        };
        assert_eq!(fates(&old), ["GoesOn", "GoesOn", "GoesOn"]);
        assert_eq!(
            fates(&sinks(&(sink("b", "u") + &sink("a", "t") + &sink("p", "^l")))),
            ["GoesOn", "Restarts", "GoesOn"]
        );
        // Dead letters of another topic: whoever reads by a pattern has to know.
        assert_eq!(fates(&sinks(&(sink("a", "t") + &sink("p", "^l")))), ["GoesOn", "Stops", "Restarts"]);
        let more = sink("a", "t") + &sink("b", "t") + &sink("p", "^l") + &sink("c", "t");
        assert_eq!(fates(&sinks(&more)), ["GoesOn", "GoesOn", "Restarts"]);
    }
}
