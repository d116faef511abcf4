//! Takes batches from the reader to the connector and back: bounds the requests under way, backs off, retries alone what
//! failed alone, sends to the dead letters what was rejected, and tells the partitions what is finished.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use logmill_config::sinks::Retry;
use tokio::{
    sync::mpsc::Receiver,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, sleep_until},
};

use crate::{
    alarms::{Alarm, Alarms},
    backoff,
    batch::{Batch, Item},
    budget::Budget,
    burials::Burials,
    concurrency::{Answer, Concurrency},
    connector::{Class, Connector, Delivery, Outcome, Outcomes},
    dead_letters::{DeadLetters, Letter},
    holding::Holding,
    ledger::Finish,
    metrics::Metrics,
    pace::Pace,
    partitions::Partitions,
};

/// What the reader hands over.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) batch: Batch,
    /// Records that are no documents, each in a batch of its own.
    pub(crate) rejected: Vec<Rejected>,
}

pub(crate) struct Rejected {
    pub(crate) record: Batch,
    pub(crate) class: Class,
    pub(crate) reason: String,
}

/// What the dispatcher and the reader of one sink share.
pub(crate) struct Shared {
    pub(crate) sink: String,
    pub(crate) partitions: Partitions,
    pub(crate) budget: Budget,
    pub(crate) alarms: Arc<Alarms>,
    pub(crate) burials: Burials,
    pub(crate) metrics: Metrics,
    paused: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        sink: &str,
        partitions: Partitions,
        budget: Budget,
        alarms: Arc<Alarms>,
        burials: Burials,
        metrics: Metrics,
    ) -> Self {
        Self { sink: sink.to_owned(), partitions, budget, alarms, burials, metrics, paused: AtomicBool::new(false) }
    }

    /// Whether reading waits for room.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    pub(crate) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }
}

/// The delivering half of a sink.
pub(crate) struct Dispatcher<C> {
    shared: Arc<Shared>,
    connector: Arc<C>,
    graves: Arc<DeadLetters>,
    retry: Retry,
    concurrency: Concurrency,
    pace: Option<Pace>,
    /// When the pace allows the next request.
    turn: Option<Instant>,
    work: Receiver<Work>,
    open: bool,
    holding: Holding,
    /// To be sent next; these were admitted already.
    ready: VecDeque<Batch>,
    later: Vec<(Instant, Batch)>,
    requests: JoinSet<Answered>,
    burials: JoinSet<(Item, Class)>,
    gate: Gate,
}

/// A request that came back.
struct Answered {
    batch: Batch,
    delivery: Delivery,
    sent: Instant,
    took: Duration,
    /// As many were under way with it as may be.
    full: bool,
}

/// Leaves a destination alone that fails as a whole; then one request tries whether it is back.
#[derive(Default)]
struct Gate {
    failures: u32,
    closed_until: Option<Instant>,
    /// Requests in a row of which not one record was taken.
    fruitless: u32,
}

/// How often a connector looks after itself.
const LOOK: Duration = Duration::from_secs(1);

/// Failures in a row after which an unavailable destination is an alarm.
const FAILURES_TO_ALARM: u32 = 3;

/// Requests in a row of which not one record was taken, after which the destination as a whole is taken for away:
/// otherwise every record held would be tried on its own again and again.
const FRUITLESS: u32 = 8;

impl<C: Connector> Dispatcher<C> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        connector: Arc<C>,
        graves: DeadLetters,
        retry: Retry,
        concurrency: Concurrency,
        pace: Option<Pace>,
        work: Receiver<Work>,
    ) -> Self {
        Self {
            shared,
            connector,
            graves: Arc::new(graves),
            retry,
            concurrency,
            pace,
            turn: None,
            work,
            open: true,
            holding: Holding::default(),
            ready: VecDeque::new(),
            later: Vec::new(),
            requests: JoinSet::new(),
            burials: JoinSet::new(),
            gate: Gate::default(),
        }
    }

    /// Returns when the reader is gone and everything is finished. Dropping the future abandons what is under way.
    pub(crate) async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.wake_later();
            while !self.ready.is_empty()
                && self.may_send()
                && self.has_turn()
                && let Some(batch) = self.ready.pop_front()
            {
                self.send(batch);
            }
            let idle =
                self.requests.is_empty() && self.burials.is_empty() && self.ready.is_empty() && self.later.is_empty();
            if !self.open && idle {
                return;
            }
            let wants_work = self.open && self.ready.is_empty() && self.may_send();
            let wake = self.next_wake();
            tokio::select! {
                Some(done) = self.requests.join_next(), if !self.requests.is_empty() => match done {
                    Ok(answered) => {
                        self.observe(&answered);
                        self.settle(answered.batch, answered.delivery);
                    }
                    // Cannot happen but by a bug in a connector: nothing may be committed past it.
                    Err(e) => {
                        self.shared.alarms.raise(Alarm::Refused, &format!("a delivery failed: {e}"));
                        tracing::error!(sink = %self.shared.sink, "a delivery panicked, its records are delivered after a restart");
                    }
                },
                Some(buried) = self.burials.join_next(), if !self.burials.is_empty() => match buried {
                    Ok((item, class)) => {
                        self.shared.burials.count(class);
                        self.finish([(&item, Finish::DeadLettered)].into_iter());
                    }
                    Err(e) => tracing::error!(sink = %self.shared.sink, "writing a dead letter failed: {e}"),
                },
                work = self.work.recv(), if wants_work => match work {
                    Some(work) => self.admit(work),
                    None => self.open = false,
                },
                _ = look.tick() => self.connector.look(),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    fn may_send(&self) -> bool {
        if self.requests.len() >= self.concurrency.limit() || self.shared.alarms.is_raised(Alarm::DeadLetters) {
            return false;
        }
        match self.gate.closed_until {
            None => true,
            Some(until) => self.requests.is_empty() && Instant::now() >= until,
        }
    }

    /// Whether the pace allows another request now; each is one turn.
    fn has_turn(&mut self) -> bool {
        let now = Instant::now();
        if self.turn.is_some_and(|turn| now < turn) {
            return false;
        }
        self.turn = self.pace.as_ref().and_then(|pace| pace.turn().err()).map(|wait| now + wait);
        self.turn.is_none()
    }

    fn next_wake(&self) -> Option<Instant> {
        let turn = self.turn.filter(|turn| !self.ready.is_empty() && *turn > Instant::now());
        let gate = self.gate.closed_until.filter(|_| self.requests.is_empty()).filter(|until| *until > Instant::now());
        self.later.iter().map(|(at, _)| *at).chain(gate).chain(turn).min()
    }

    fn wake_later(&mut self) {
        let now = Instant::now();
        if self.later.iter().all(|(at, _)| *at > now) {
            return;
        }
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition::<Vec<_>, _>(|(at, _)| *at <= now);
        self.later = later;
        self.ready.extend(due.into_iter().map(|(_, batch)| batch));
    }

    fn admit(&mut self, work: Work) {
        for rejected in work.rejected {
            // Its identity is not looked at: it never becomes a document.
            if let Some(item) = rejected.record.items.first() {
                self.bury(&rejected.record, item, rejected.class, rejected.reason);
            }
        }
        let batch = self.holding.admit(work.batch);
        if !batch.is_empty() {
            self.ready.push_back(batch);
        }
    }

    fn send(&mut self, batch: Batch) {
        let Some(mut batch) = self.still_owned(batch) else { return };
        for item in &mut batch.items {
            item.attempts = item.attempts.saturating_add(1);
        }
        let connector = self.connector.clone();
        let full = self.requests.len() + 1 >= self.concurrency.limit();
        self.requests.spawn(async move {
            let sent = Instant::now();
            let delivery = connector.deliver(&batch).await;
            Answered { batch, delivery, sent, took: sent.elapsed(), full }
        });
    }

    fn observe(&mut self, answered: &Answered) {
        let Answered { delivery, sent, took, full, .. } = answered;
        let labels = [self.shared.sink.as_str()];
        self.shared.metrics.bulk_seconds.with_label_values(&labels).observe(took.as_secs_f64());
        let (records, limit) = (answered.batch.items.len(), self.concurrency.limit());
        tracing::debug!(sink = %self.shared.sink, records, ?took, limit, "answered");
        let is_retry = |outcome: &Outcome| matches!(outcome, Outcome::Retry { .. });
        let answer = match &delivery.outcomes {
            Outcomes::All(outcome) if is_retry(outcome) => Answer::PushedBack,
            Outcomes::Each(each) if each.iter().any(is_retry) => Answer::PushedBack,
            _ => Answer::Taken(*took),
        };
        self.concurrency.answered(answer, sent.into_std(), *full, Instant::now().into_std());
        let limit = i64::try_from(self.concurrency.limit()).unwrap_or(i64::MAX);
        self.shared.metrics.concurrency.with_label_values(&labels).set(limit);
    }

    /// Drops records whose partition was lost: another member reads them again.
    fn still_owned(&mut self, batch: Batch) -> Option<Batch> {
        let owned = self.shared.partitions.are_owned(batch.items.iter().map(|i| i.assignment));
        if owned.iter().all(|owned| *owned) {
            return Some(batch);
        }
        self.let_go(batch.items.iter().zip(&owned).filter(|(_, owned)| !**owned).map(|(item, _)| item));
        let rest = batch.subset(|at| owned.get(at).copied().unwrap_or(false));
        (!rest.is_empty()).then_some(rest)
    }

    fn settle(&mut self, batch: Batch, delivery: Delivery) {
        let Delivery { outcomes, retry_after } = delivery;
        match outcomes {
            Outcomes::All(Outcome::Done { duplicate }) => {
                self.opened();
                let how = if duplicate { Finish::Duplicate } else { Finish::Indexed };
                self.finish(batch.items.iter().map(|item| (item, how)));
            }
            Outcomes::All(Outcome::Retry { reason }) => {
                self.closed(retry_after);
                self.shared.alarms.note(&reason);
                if self.gate.failures >= FAILURES_TO_ALARM {
                    self.shared.alarms.raise(Alarm::Unavailable, &reason);
                }
                tracing::debug!(sink = %self.shared.sink, records = batch.items.len(), "retried: {reason}");
                self.again(batch);
            }
            Outcomes::All(Outcome::Pause { reason }) => {
                self.closed(retry_after);
                self.shared.alarms.raise(Alarm::Refused, &reason);
                self.again(batch);
            }
            Outcomes::All(Outcome::Reject { class, reason }) => {
                self.opened();
                for item in &batch.items {
                    self.bury(&batch, item, class, reason.clone());
                }
            }
            Outcomes::Split { class, reason } => {
                self.opened();
                self.halve(batch, class, reason);
            }
            Outcomes::Each(outcomes) => self.settle_each(&batch, outcomes, retry_after),
        }
    }

    fn settle_each(&mut self, batch: &Batch, outcomes: Vec<Outcome>, retry_after: Option<Duration>) {
        let mut finished = Vec::with_capacity(batch.items.len());
        let (mut retried, mut paused) = (vec![false; batch.items.len()], vec![false; batch.items.len()]);
        let (mut pause_reason, mut retry_reason, mut noted, mut rejected) = (None, None, None, false);
        for (at, (item, outcome)) in batch.items.iter().zip(outcomes).enumerate() {
            let mark = |list: &mut Vec<bool>| {
                if let Some(slot) = list.get_mut(at) {
                    *slot = true;
                }
            };
            match outcome {
                Outcome::Done { duplicate } => {
                    finished.push((item, if duplicate { Finish::Duplicate } else { Finish::Indexed }));
                }
                Outcome::Retry { reason } => {
                    mark(&mut retried);
                    noted.get_or_insert_with(|| reason.clone());
                    retry_reason.get_or_insert(reason);
                }
                Outcome::Reject { class, reason } => {
                    rejected = true;
                    self.bury(batch, item, class, reason);
                }
                Outcome::Pause { reason } => {
                    mark(&mut paused);
                    pause_reason.get_or_insert(reason);
                }
            }
        }
        let chosen = |marks: &[bool]| batch.subset(|at| marks.get(at).copied().unwrap_or(false));
        if let Some(reason) = pause_reason {
            self.closed(retry_after);
            self.shared.alarms.raise(Alarm::Refused, &reason);
            self.again(chosen(&paused));
        } else if rejected || !finished.is_empty() {
            self.opened();
        } else if let Some(reason) = retry_reason {
            self.fruitless(retry_after, &reason);
        }
        if let Some(reason) = &noted {
            self.shared.alarms.note(reason);
        }
        let retry = chosen(&retried);
        if let Some(tries) = retry.items.iter().map(|i| i.attempts).max() {
            let wait = backoff::wait(&self.retry, tries, retry_after, fastrand::f64());
            self.count_retries(&retry);
            self.later.push((Instant::now() + wait, retry));
        }
        self.finish(finished.iter().copied());
    }

    fn opened(&mut self) {
        self.gate = Gate::default();
        self.shared.alarms.clear(Alarm::Unavailable);
        self.shared.alarms.clear(Alarm::Refused);
    }

    /// A request of which every record is to be tried again.
    fn fruitless(&mut self, retry_after: Option<Duration>, reason: &str) {
        self.gate.fruitless = self.gate.fruitless.saturating_add(1);
        tracing::debug!(sink = %self.shared.sink, "retried: {reason}");
        if self.gate.fruitless >= FRUITLESS {
            self.closed(retry_after);
            self.shared.alarms.raise(Alarm::Unavailable, reason);
        }
    }

    fn closed(&mut self, retry_after: Option<Duration>) {
        // Requests that were under way together fail together: that is one failure.
        if self.gate.closed_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.gate.failures = self.gate.failures.saturating_add(1);
        let wait = backoff::wait(&self.retry, self.gate.failures, retry_after, fastrand::f64());
        self.gate.closed_until = Some(Instant::now() + wait);
    }

    /// First in line once the gate opens.
    fn again(&mut self, batch: Batch) {
        self.count_retries(&batch);
        self.ready.push_front(batch);
    }

    fn count_retries(&self, batch: &Batch) {
        let records = u64::try_from(batch.items.len()).unwrap_or(u64::MAX);
        self.shared.metrics.retries.with_label_values(&[&self.shared.sink]).inc_by(records);
    }

    fn halve(&mut self, batch: Batch, class: Class, reason: String) {
        if let [item] = batch.items.as_slice() {
            self.bury(&batch, item, class, reason);
            return;
        }
        let middle = batch.items.len() / 2;
        self.ready.push_front(batch.subset(|at| at >= middle));
        self.ready.push_front(batch.subset(|at| at < middle));
    }

    fn bury(&mut self, batch: &Batch, item: &Item, class: Class, reason: String) {
        let Some((topic, partition)) = self.shared.partitions.origin(item.assignment) else {
            self.let_go(std::iter::once(item));
            return;
        };
        self.shared.alarms.note(&format!("dead letter ({}): {reason}", class.name()));
        let letter = Letter {
            topic,
            partition,
            offset: item.offset,
            timestamp: item.timestamp,
            original: batch.original(item),
            class,
            reason,
            attempts: item.attempts,
        };
        let (graves, item) = (self.graves.clone(), item.clone());
        self.burials.spawn(async move {
            graves.bury(letter).await;
            (item, class)
        });
    }

    fn finish<'i>(&mut self, finished: impl Iterator<Item = (&'i Item, Finish)> + Clone) {
        self.shared.partitions.finish(finished.clone().map(|(item, how)| (item.assignment, item.offset, how)));
        self.let_go(finished.map(|(item, _)| item));
    }

    /// Gives back what the records held, and lets those go that waited for them.
    fn let_go<'i>(&mut self, items: impl Iterator<Item = &'i Item>) {
        let (mut released, mut cost) = (Vec::new(), 0);
        for item in items {
            released.extend(self.holding.release(item.identity));
            cost += item.cost;
        }
        self.shared.budget.give(cost);
        if !released.is_empty() {
            self.ready.push_back(Batch::joined(&released));
        }
    }
}
