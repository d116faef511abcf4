//! LeaveGroup, and the end of a group.

use logmill_protocol::ErrorCode;

use super::{Effect, Group, GroupState, Now, refuse};

/// One member of a LeaveGroup request. With an empty member id an administrator removes by instance id (KIP-345).
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
}

impl Group {
    /// Handles LeaveGroup: one result per member, in order.
    pub(crate) fn leave(&mut self, leaving: &[Leaving], now: Now, fx: &mut Vec<Effect>) -> Vec<Result<(), ErrorCode>> {
        if self.state == GroupState::Dead {
            return vec![Err(ErrorCode::CoordinatorNotAvailable); leaving.len()];
        }
        let results: Vec<_> = leaving.iter().map(|l| self.leave_one(l, fx)).collect();
        if results.iter().any(Result::is_ok) && self.state != GroupState::Empty {
            self.rebalance_or_complete_join(now, fx);
        }
        results
    }

    fn leave_one(&mut self, leaving: &Leaving, fx: &mut Vec<Effect>) -> Result<(), ErrorCode> {
        let instance = leaving.instance_id.as_deref();
        let id = if leaving.member_id.is_empty() {
            instance.and_then(|i| self.static_members.get(i)).cloned().ok_or(ErrorCode::UnknownMemberId)?
        } else if self.pending_members.contains_key(&leaving.member_id) {
            leaving.member_id.clone()
        } else {
            self.validate_member(&leaving.member_id, instance)?;
            leaving.member_id.clone()
        };
        self.remove_member(&id, ErrorCode::UnknownMemberId, fx);
        Ok(())
    }

    /// Ends the group: everyone who waits is answered with `error`, nothing happens in it any more.
    pub(crate) fn end(&mut self, error: ErrorCode, now: Now, fx: &mut Vec<Effect>) {
        for member in self.members.values_mut() {
            refuse(member, error, fx);
        }
        self.members.clear();
        self.static_members.clear();
        self.pending_members.clear();
        self.pending_writes.clear();
        self.leader = None;
        self.protocol = None;
        self.initial_delay = None;
        self.join_deadline = None;
        self.sync_deadline = None;
        self.set_state(GroupState::Dead, now);
    }
}
