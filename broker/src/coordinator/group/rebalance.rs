//! From one generation to the next: when a rebalance starts, whom it waits for, and how the new generation is formed.

use std::collections::BTreeMap;

use logmill_protocol::ErrorCode;

use super::{Effect, Eviction, Group, GroupState, InitialDelay, Now};

impl Group {
    /// Something about the membership changed: start a rebalance, or see whether the running one is complete.
    pub(super) fn rebalance_or_complete_join(&mut self, now: Now, fx: &mut Vec<Effect>) {
        match self.state {
            GroupState::Empty | GroupState::Stable | GroupState::CompletingRebalance => self.start_rebalance(now, fx),
            GroupState::PreparingRebalance => self.maybe_complete_join(now, fx),
            GroupState::Dead => {}
        }
    }

    fn start_rebalance(&mut self, now: Now, fx: &mut Vec<Effect>) {
        fx.push(Effect::RebalanceStarted);
        // Whoever waits for an assignment of the old generation has to join again.
        let session_start = now.mono_ms;
        for member in self.members.values_mut() {
            member.owes_sync = false;
            if let Some(ticket) = member.awaiting_sync.take() {
                fx.push(Effect::Synced(ticket, super::SyncReply::refused(ErrorCode::RebalanceInProgress)));
                member.session_deadline = session_start.saturating_add(member.session_timeout_ms);
            }
        }
        self.sync_deadline = None;
        let timeout = self.rebalance_timeout_ms();
        let initial = self.state == GroupState::Empty;
        self.set_state(GroupState::PreparingRebalance, now);
        let delay = self.limits.initial_rebalance_delay_ms;
        if initial && delay > 0 {
            self.initial_delay = Some(InitialDelay {
                delay_ms: delay,
                remaining_ms: timeout.saturating_sub(delay),
                member_added: false,
            });
            self.join_deadline = Some(now.mono_ms.saturating_add(delay));
        } else {
            self.initial_delay = None;
            self.join_deadline = Some(now.mono_ms.saturating_add(timeout));
            self.maybe_complete_join(now, fx);
        }
    }

    /// Completes the join phase when everyone is there (the first one waits out its delay).
    pub(super) fn maybe_complete_join(&mut self, now: Now, fx: &mut Vec<Effect>) {
        let everyone = self.pending_members.is_empty() && self.members.values().all(|m| m.awaiting_join.is_some());
        if self.state == GroupState::PreparingRebalance && self.initial_delay.is_none() && everyone {
            self.complete_join(now, fx);
        }
    }

    /// The join phase's deadline has passed.
    pub(super) fn join_deadline_passed(&mut self, now: Now, fx: &mut Vec<Effect>) {
        if let Some(initial) = &mut self.initial_delay
            && initial.member_added
            && initial.remaining_ms > 0
        {
            let delay = self.limits.initial_rebalance_delay_ms.min(initial.remaining_ms);
            initial.member_added = false;
            initial.remaining_ms = initial.remaining_ms.saturating_sub(initial.delay_ms);
            initial.delay_ms = delay;
            self.join_deadline = Some(now.mono_ms.saturating_add(delay));
            return;
        }
        self.complete_join(now, fx);
    }

    /// Forms the next generation of those who joined. Dynamic members who did not are removed; static ones stay until
    /// their session ends.
    fn complete_join(&mut self, now: Now, fx: &mut Vec<Effect>) {
        self.initial_delay = None;
        self.join_deadline = None;
        let absent: Vec<String> = self
            .members
            .values()
            .filter(|m| m.awaiting_join.is_none() && m.instance_id.is_none())
            .map(|m| m.id.clone())
            .collect();
        for id in absent {
            self.remove_member(&id, ErrorCode::UnknownMemberId, fx);
            fx.push(Effect::Evicted(Eviction::Rebalance));
        }
        if !self.elect_joined_leader() && !self.members.is_empty() {
            // Only absent static members are left: wait until one comes back or their sessions end.
            self.join_deadline = Some(now.mono_ms.saturating_add(self.rebalance_timeout_ms()));
            return;
        }
        // A client compares generations for equality only; after two billion rebalances they start over.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.leader = None;
            self.set_state(GroupState::Empty, now);
            let write = self.persist(None, None);
            fx.push(write);
            return;
        }
        self.protocol = self.select_protocol();
        self.set_state(GroupState::CompletingRebalance, now);
        fx.push(Effect::GenerationFormed);
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let reply = self.join_reply(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.owes_sync = true;
                if let Some(ticket) = member.awaiting_join.take() {
                    member.is_new = false;
                    member.session_deadline = now.mono_ms.saturating_add(member.session_timeout_ms);
                    fx.push(Effect::Joined(ticket, reply));
                }
            }
        }
        self.sync_deadline = Some(now.mono_ms.saturating_add(self.rebalance_timeout_ms()));
    }

    /// Keeps the leader if it joined, else takes one that did. False when nobody did.
    fn elect_joined_leader(&mut self) -> bool {
        let joined = |id: &String| self.members.get(id).is_some_and(|m| m.awaiting_join.is_some());
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        let Some(id) = self.members.values().find(|m| m.awaiting_join.is_some()).map(|m| m.id.clone()) else {
            return false;
        };
        self.leader = Some(id);
        true
    }

    /// Each member votes for the first of its protocols that everyone supports; among equals the leader's order decides.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let choice = member.protocols.iter().find(|p| self.members.values().all(|m| m.supports(&p.name)));
            if let Some(choice) = choice {
                *votes.entry(&choice.name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        let winners = |name: &str| votes.get(name) == Some(&most);
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        leader
            .and_then(|m| m.protocols.iter().map(|p| p.name.as_str()).find(|name| winners(name)))
            .or_else(|| votes.keys().copied().find(|name| winners(name)))
            .map(str::to_owned)
    }
}
