//! Joining, syncing, heartbeats and leaving.

use std::{future::Future, sync::Arc};

use logmill_protocol::ErrorCode;
use tokio::sync::oneshot;

use super::{Groups, Waiting};
use crate::coordinator::group::{JoinReply, JoinRequest, Leaving, SyncReply, SyncRequest};

/// An answer that is there already or comes later.
pub(crate) type Answer<T> = oneshot::Receiver<T>;

fn at_once<T>(reply: T) -> Answer<T> {
    let (answer, receiver) = oneshot::channel();
    let _ = answer.send(reply);
    receiver
}

impl Groups {
    /// The request has taken its effect when this returns; wait for the answer with [`Groups::answer`].
    pub(crate) async fn join(self: &Arc<Self>, group: &str, request: JoinRequest) -> Answer<JoinReply> {
        let refused = |error| {
            let known = error != ErrorCode::UnknownMemberId && error != ErrorCode::GroupMaxSizeReached;
            at_once(JoinReply::refused(if known { request.member_id.clone() } else { String::new() }, error))
        };
        if let Err(error) = self.check_id(group) {
            return refused(error);
        }
        loop {
            // Only a newcomer founds a group: a member id of a group that is not there is from another time.
            let slot = if request.member_id.is_empty() {
                self.find_or_create(group).await.map(Some)
            } else {
                self.find(group)
            };
            let slot = match slot {
                Ok(Some(slot)) => slot,
                Ok(None) => return refused(ErrorCode::UnknownMemberId),
                Err(error) => return refused(error),
            };
            let (answer, receiver) = oneshot::channel();
            let joined = self.step(&slot, |state, now, fx| {
                let ticket = state.ticket(Waiting::Join(answer));
                state.group.join(request.clone(), ticket, now, fx);
            });
            if joined.is_ok() {
                return receiver;
            }
        }
    }

    /// As [`Groups::join`].
    pub(crate) fn sync(self: &Arc<Self>, group: &str, request: SyncRequest) -> Answer<SyncReply> {
        let slot = match self.check_id(group).and_then(|()| self.find(group)) {
            Ok(Some(slot)) => slot,
            Ok(None) => return at_once(SyncReply::refused(ErrorCode::UnknownMemberId)),
            Err(error) => return at_once(SyncReply::refused(error)),
        };
        let (answer, receiver) = oneshot::channel();
        let synced = self.step(&slot, |state, now, fx| {
            let ticket = state.ticket(Waiting::Sync(answer));
            state.group.sync(request, ticket, now, fx);
        });
        match synced {
            Ok(()) => receiver,
            Err(_gone) => at_once(SyncReply::refused(ErrorCode::UnknownMemberId)),
        }
    }

    /// Waits for an answer; none comes when the broker stops or the group ends.
    pub(crate) fn answer<T>(&self, answer: Answer<T>) -> impl Future<Output = Option<T>> + use<T> {
        let stop = self.stop.clone();
        async move {
            tokio::select! {
                biased;
                reply = answer => reply.ok(),
                () = stop.cancelled() => None,
            }
        }
    }

    pub(crate) fn heartbeat(
        self: &Arc<Self>,
        group: &str,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        self.check_id(group)?;
        let slot = self.find(group)?.ok_or(ErrorCode::UnknownMemberId)?;
        // Not a step: it only moves a deadline later, which the queue of timers need not know.
        let mut state = slot.state.lock();
        let now = self.now();
        state.group.heartbeat(member_id, instance_id, generation, now)
    }

    /// One result per member, in order; or why none was tried.
    pub(crate) fn leave(
        self: &Arc<Self>,
        group: &str,
        leaving: &[Leaving],
    ) -> Result<Vec<Result<(), ErrorCode>>, ErrorCode> {
        self.check_id(group)?;
        let slot = self.find(group)?.ok_or(ErrorCode::UnknownMemberId)?;
        self.step(&slot, |state, now, fx| state.group.leave(leaving, now, fx))
            .map_err(|_gone| ErrorCode::UnknownMemberId)
    }
}
