//! The group coordinator's service: every group's state machine with its committed offsets, what waits for an answer, the
//! writes to `__consumer_offsets`, and the one task that keeps time.
//!
//! A step of a group and the appends it asks for happen under the group's lock, so that the log has them in the order they
//! happened; waiting for the disk happens outside, and its result is one more step.

mod admin;
mod commits;
mod deletion;
mod membership;
mod run;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use logmill_protocol::ErrorCode;
use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::commits::{Commit, FetchedOffset, FetchedTopic};
use super::{
    group::{Effect, Group, GroupState, JoinReply, Limits, Now, SyncReply, Ticket},
    metadata::GroupMetadata,
    metrics::GroupMetrics,
    offsets::GroupOffsets,
    records::StoredRecord,
    store::{OffsetsStore, Written},
    timers::Timers,
};
use crate::{
    clock::Clock,
    metadata::store::MetadataStore,
    partition::{partitions::Partitions, replica::Partition},
    settings::GroupSettings,
};

/// What the coordinator is made of.
pub(crate) struct GroupsOptions {
    pub(crate) settings: GroupSettings,
    /// Partitions of `__consumer_offsets` where it is not yet made.
    pub(crate) offsets_partitions: i32,
    pub(crate) clock: Clock,
    pub(crate) metadata: Arc<dyn MetadataStore>,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) metrics: GroupMetrics,
    pub(crate) stop: CancellationToken,
}

/// All groups of this node. Answers `CoordinatorLoadInProgress` for those whose partition [`Groups::run`] has not read yet.
pub(crate) struct Groups {
    settings: GroupSettings,
    limits: Limits,
    clock: Clock,
    started: Instant,
    store: OffsetsStore,
    metrics: GroupMetrics,
    slots: RwLock<HashMap<Arc<str>, Arc<Slot>>>,
    /// Partitions not yet read.
    loading: RwLock<HashSet<i32>>,
    timers: Timers,
    stop: CancellationToken,
}

/// One group with what belongs to it.
struct Slot {
    name: Arc<str>,
    partition: Arc<Partition>,
    state: Mutex<SlotState>,
    /// Told when no commit is on its way to the disk any more.
    quiet: Notify,
}

struct SlotState {
    group: Group,
    offsets: GroupOffsets,
    waiting: HashMap<Ticket, Waiting>,
    next_ticket: Ticket,
    /// The deadline in the queue of timers.
    timer: Option<u64>,
    /// The state it is counted under.
    counted: GroupState,
    commits_in_flight: usize,
    /// There is a metadata record to delete when the group goes.
    stored: bool,
    /// Taken out of the table: look the group up again.
    gone: bool,
}

enum Waiting {
    Join(oneshot::Sender<JoinReply>),
    Sync(oneshot::Sender<SyncReply>),
}

/// The group was removed between being looked up and being locked.
struct Gone;

impl SlotState {
    fn new(group: Group, offsets: GroupOffsets, stored: bool) -> Self {
        let counted = group.state();
        Self {
            group,
            offsets,
            waiting: HashMap::new(),
            next_ticket: 0,
            timer: None,
            counted,
            commits_in_flight: 0,
            stored,
            gone: false,
        }
    }

    fn ticket(&mut self, waiting: Waiting) -> Ticket {
        self.next_ticket += 1;
        self.waiting.insert(self.next_ticket, waiting);
        self.next_ticket
    }

    /// Nothing about it has to be remembered.
    fn is_unused(&self) -> bool {
        self.group.is_vacant() && self.offsets.is_empty() && self.commits_in_flight == 0
    }
}

impl Groups {
    pub(crate) fn new(options: GroupsOptions) -> Self {
        let store = OffsetsStore::new(options.metadata, options.partitions, options.offsets_partitions);
        Self {
            limits: Limits::new(&options.settings),
            settings: options.settings,
            started: options.clock.monotonic(),
            clock: options.clock,
            loading: RwLock::new(store.found().into_iter().collect()),
            store,
            metrics: options.metrics,
            slots: RwLock::default(),
            timers: Timers::default(),
            stop: options.stop,
        }
    }

    pub(crate) fn settings(&self) -> &GroupSettings {
        &self.settings
    }

    /// Makes `__consumer_offsets` if there is none: the first thing a group's client asks for.
    pub(crate) async fn prepare(&self) -> Result<(), ErrorCode> {
        self.store.ensure_topic().await
    }

    /// The partition of `__consumer_offsets` a group falls into.
    pub(crate) fn partition_of(&self, group: &str) -> i32 {
        self.store.partition_of(group).unwrap_or(0)
    }

    fn now(&self) -> Now {
        let since = self.clock.monotonic().saturating_duration_since(self.started);
        Now { mono_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), wall_ms: self.clock.now_ms() }
    }

    fn check_id(&self, group: &str) -> Result<(), ErrorCode> {
        if group.is_empty() || group.len() > self.settings.max_group_id_bytes {
            return Err(ErrorCode::InvalidGroupId);
        }
        Ok(())
    }

    /// The group, if there is one.
    fn find(&self, group: &str) -> Result<Option<Arc<Slot>>, ErrorCode> {
        let Some(partition) = self.store.partition_of(group) else { return Ok(None) };
        if self.loading.read().contains(&partition) {
            return Err(ErrorCode::CoordinatorLoadInProgress);
        }
        Ok(self.slots.read().get(group).cloned())
    }

    async fn find_or_create(&self, group: &str) -> Result<Arc<Slot>, ErrorCode> {
        if let Some(slot) = self.find(group)? {
            return Ok(slot);
        }
        let partition = self.store.open_partition_of(group).await?;
        self.find(group)?;
        let mut slots = self.slots.write();
        if let Some(slot) = slots.get(group) {
            return Ok(Arc::clone(slot));
        }
        if slots.len() >= self.settings.max_groups {
            tracing::warn!(group, groups = slots.len(), "there are as many groups as allowed: refusing another");
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        let created = Group::new(self.limits, self.now());
        let slot = self.slot(group, partition, SlotState::new(created, GroupOffsets::default(), false));
        slots.insert(Arc::clone(&slot.name), Arc::clone(&slot));
        Ok(slot)
    }

    fn slot(&self, group: &str, partition: Arc<Partition>, state: SlotState) -> Arc<Slot> {
        self.metrics.groups.with_label_values(&[state.counted.as_str()]).inc();
        Arc::new(Slot { name: group.into(), partition, state: Mutex::new(state), quiet: Notify::new() })
    }

    /// One step of a group, with everything it asks for.
    fn step<T>(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        step: impl FnOnce(&mut SlotState, Now, &mut Vec<Effect>) -> T,
    ) -> Result<T, Gone> {
        let mut state = slot.state.lock();
        if state.gone {
            return Err(Gone);
        }
        let now = self.now();
        let mut fx = Vec::new();
        let result = step(&mut state, now, &mut fx);
        self.carry_out(slot, &mut state, fx, now);
        self.settle(slot, &mut state);
        Ok(result)
    }

    fn carry_out(self: &Arc<Self>, slot: &Arc<Slot>, state: &mut SlotState, fx: Vec<Effect>, now: Now) {
        let mut todo = VecDeque::from(fx);
        while let Some(effect) = todo.pop_front() {
            match effect {
                // Whoever does not wait any more has closed its connection.
                Effect::Joined(ticket, reply) => {
                    if let Some(Waiting::Join(answer)) = state.waiting.remove(&ticket) {
                        let _ = answer.send(reply);
                    }
                }
                Effect::Synced(ticket, reply) => {
                    if let Some(Waiting::Sync(answer)) = state.waiting.remove(&ticket) {
                        let _ = answer.send(reply);
                    }
                }
                Effect::Persist(number, metadata) => match self.write_metadata(slot, Some(&metadata), now) {
                    Ok(written) => {
                        state.stored = true;
                        self.report_when_durable(slot, number, written);
                    }
                    Err(error) => {
                        let mut more = Vec::new();
                        state.group.persisted(number, Err(error), now, &mut more);
                        todo.extend(more);
                    }
                },
                Effect::RebalanceStarted => self.metrics.rebalances.inc(),
                Effect::GenerationFormed => {
                    let (generation, members) = (state.group.generation(), state.group.member_count());
                    tracing::info!(group = &*slot.name, generation, members, "group rebalanced");
                }
                Effect::Evicted(reason) => {
                    self.metrics.evicted.with_label_values(&[reason.as_str()]).inc();
                    tracing::info!(group = &*slot.name, reason = reason.as_str(), "group member removed");
                }
            }
        }
    }

    fn write_metadata(&self, slot: &Slot, metadata: Option<&GroupMetadata>, now: Now) -> Result<Written, ErrorCode> {
        let record = StoredRecord::group(&slot.name, metadata).map_err(|_| ErrorCode::UnknownServerError)?;
        self.store.append(&slot.partition, &[record], now.wall_ms).map_err(|error| match error {
            // The group's members would not know what to do with it.
            ErrorCode::InvalidCommitOffsetSize => ErrorCode::UnknownServerError,
            other => other,
        })
    }

    fn report_when_durable(self: &Arc<Self>, slot: &Arc<Slot>, number: u64, written: Written) {
        let (groups, slot) = (Arc::clone(self), Arc::clone(slot));
        tokio::spawn(async move {
            let result = groups.store.durable(&slot.partition, written.last_offset).await;
            let _ = groups.step(&slot, |state, now, fx| state.group.persisted(number, result, now, fx));
        });
    }

    /// Keeps timer, metrics and table in line with the state.
    fn settle(&self, slot: &Slot, state: &mut SlotState) {
        let next = state.group.next_deadline();
        if next != state.timer {
            self.timers.set(&slot.name, state.timer, next);
            state.timer = next;
        }
        let current = state.group.state();
        if current != state.counted {
            self.metrics.groups.with_label_values(&[state.counted.as_str()]).dec();
            self.metrics.groups.with_label_values(&[current.as_str()]).inc();
            state.counted = current;
        }
        // A name somebody only tried out.
        if state.is_unused() && !state.stored {
            self.forget(slot, state);
        }
    }

    fn forget(&self, slot: &Slot, state: &mut SlotState) {
        if !state.gone {
            state.gone = true;
            // Nobody waits in a group that may be forgotten.
            state.group.end(ErrorCode::NotCoordinator, self.now(), &mut Vec::new());
            self.timers.set(&slot.name, state.timer.take(), None);
            self.metrics.groups.with_label_values(&[state.counted.as_str()]).dec();
            self.slots.write().remove(&slot.name);
        }
    }
}
