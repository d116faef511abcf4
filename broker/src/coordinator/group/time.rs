//! Heartbeats, deadlines and what happens when they pass.

use logmill_protocol::ErrorCode;

use super::{Effect, Eviction, Group, GroupState, Now};

impl Group {
    /// Handles Heartbeat: prolongs the session; [`ErrorCode::RebalanceInProgress`] asks the member to join again.
    pub(crate) fn heartbeat(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        now: Now,
    ) -> Result<(), ErrorCode> {
        if self.state == GroupState::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        self.validate_member(member_id, instance_id)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.touch(member_id, now);
        match self.state {
            GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Whether an offset commit may be taken; it prolongs the member's session.
    /// Generation -1 with neither member nor instance id is a consumer without group management, or an administrator:
    /// accepted while the group has no members.
    pub(crate) fn admit_commit(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        now: Now,
    ) -> Result<(), ErrorCode> {
        if self.state == GroupState::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if generation < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance_id.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate_member(member_id, instance_id)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        // Members still finish their old generation's work while a rebalance is prepared; once the next is formed they
        // first have to learn what is theirs.
        if self.state == GroupState::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        self.touch(member_id, now);
        Ok(())
    }

    /// Starts a member's session anew. (A member not yet in a generation has its own, longer deadline.)
    pub(super) fn touch(&mut self, member_id: &str, now: Now) {
        if let Some(member) = self.members.get_mut(member_id)
            && !member.is_new
        {
            member.session_deadline = now.mono_ms.saturating_add(member.session_timeout_ms);
        }
    }

    /// When [`Group::advance`] has to be called next, in monotonic milliseconds. Heartbeats only ever move it later.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let sessions = self.members.values().filter(|m| m.session_counts()).map(|m| m.session_deadline).min();
        let pending = self.pending_members.values().copied().min();
        [sessions, pending, self.join_deadline, self.sync_deadline].into_iter().flatten().min()
    }

    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self, now: Now, fx: &mut Vec<Effect>) {
        let lapsed: Vec<String> =
            self.pending_members.iter().filter(|(_, at)| **at <= now.mono_ms).map(|(id, _)| id.clone()).collect();
        for id in &lapsed {
            self.pending_members.remove(id);
        }
        let expired: Vec<String> = self
            .members
            .values()
            .filter(|m| m.session_counts() && m.session_deadline <= now.mono_ms)
            .map(|m| m.id.clone())
            .collect();
        for id in &expired {
            self.remove_member(id, ErrorCode::UnknownMemberId, fx);
            fx.push(Effect::Evicted(Eviction::Session));
        }
        if !expired.is_empty() {
            self.rebalance_or_complete_join(now, fx);
        } else if !lapsed.is_empty() {
            self.maybe_complete_join(now, fx);
        }
        if self.sync_deadline.is_some_and(|at| at <= now.mono_ms) {
            self.sync_deadline_passed(now, fx);
        }
        if self.state == GroupState::PreparingRebalance && self.join_deadline.is_some_and(|at| at <= now.mono_ms) {
            self.join_deadline_passed(now, fx);
        }
    }

    /// Members that never asked for their assignment are gone, or stuck: the others share their partitions.
    fn sync_deadline_passed(&mut self, now: Now, fx: &mut Vec<Effect>) {
        self.sync_deadline = None;
        let owing: Vec<String> = self.members.values().filter(|m| m.owes_sync).map(|m| m.id.clone()).collect();
        for id in &owing {
            self.remove_member(id, ErrorCode::UnknownMemberId, fx);
            fx.push(Effect::Evicted(Eviction::Sync));
        }
        if !owing.is_empty() {
            self.rebalance_or_complete_join(now, fx);
        }
    }
}
