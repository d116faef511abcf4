//! Scenarios of the classic protocol, step by step, and random ones with their invariants.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod random;

use bytes::Bytes;
use logmill_protocol::ErrorCode;

use super::{
    Effect, Eviction, Group, GroupState, JoinReply, JoinRequest, Leaving, Limits, Now, SyncReply, SyncRequest,
};
use crate::coordinator::member::Protocol;

const LIMITS: Limits = Limits {
    min_session_timeout_ms: 1_000,
    max_session_timeout_ms: 60_000,
    initial_rebalance_delay_ms: 100,
    new_member_join_timeout_ms: 300_000,
    max_size: 5,
    max_member_bytes: 1_000,
};

/// A group with a clock and the answers so far.
struct World {
    group: Group,
    now: Now,
    next_ticket: u64,
    fx: Vec<Effect>,
}

impl World {
    fn new() -> Self {
        let now = Now { mono_ms: 1_000, wall_ms: 1_000_000 };
        Self { group: Group::new(LIMITS, now), now, next_ticket: 0, fx: Vec::new() }
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    fn join(&mut self, request: JoinRequest) -> u64 {
        let ticket = self.ticket();
        self.group.join(request, ticket, self.now, &mut self.fx);
        ticket
    }

    fn sync(&mut self, member: &str, generation: i32, assignments: &[(&str, &str)]) -> u64 {
        let ticket = self.ticket();
        let request = SyncRequest {
            member_id: member.into(),
            instance_id: None,
            generation,
            protocol_type: None,
            protocol: None,
            assignments: assignments.iter().map(|(m, a)| ((*m).into(), Bytes::copy_from_slice(a.as_bytes()))).collect(),
        };
        self.group.sync(request, ticket, self.now, &mut self.fx);
        ticket
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now.mono_ms + ms;
        while let Some(at) = self.group.next_deadline().filter(|at| *at <= end) {
            self.set(at.max(self.now.mono_ms));
            self.group.advance(self.now, &mut self.fx);
        }
        self.set(end);
    }

    fn set(&mut self, mono_ms: u64) {
        self.now = Now { mono_ms, wall_ms: 1_000_000 + i64::try_from(mono_ms).unwrap() };
    }

    fn joined(&mut self, ticket: u64) -> Option<JoinReply> {
        let at = self.fx.iter().position(|e| matches!(e, Effect::Joined(t, _) if *t == ticket))?;
        let Effect::Joined(_, reply) = self.fx.remove(at) else { unreachable!() };
        Some(reply)
    }

    fn synced(&mut self, ticket: u64) -> Option<SyncReply> {
        let at = self.fx.iter().position(|e| matches!(e, Effect::Synced(t, _) if *t == ticket))?;
        let Effect::Synced(_, reply) = self.fx.remove(at) else { unreachable!() };
        Some(reply)
    }

    /// Ends every write asked for so far.
    fn persist(&mut self, result: Result<(), ErrorCode>) -> usize {
        let writes: Vec<u64> =
            self.fx.iter().filter_map(|e| if let Effect::Persist(n, _) = e { Some(*n) } else { None }).collect();
        self.fx.retain(|e| !matches!(e, Effect::Persist(..)));
        for number in &writes {
            self.group.persisted(*number, result, self.now, &mut self.fx);
        }
        writes.len()
    }

    fn evictions(&self, why: Eviction) -> usize {
        self.fx.iter().filter(|e| **e == Effect::Evicted(why)).count()
    }

    /// Members joined, first rebalance over, everyone synced: ids in order of joining, the first leads.
    fn stable(requests: Vec<JoinRequest>) -> (Self, Vec<String>) {
        let mut w = Self::new();
        let tickets: Vec<u64> = requests.into_iter().map(|r| w.join(r)).collect();
        w.pass(1_000);
        let replies: Vec<JoinReply> = tickets.into_iter().map(|t| w.joined(t).unwrap()).collect();
        let ids: Vec<String> = replies.iter().map(|r| r.member_id.clone()).collect();
        let assignments: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
        let tickets: Vec<u64> = ids.iter().map(|id| w.sync(id, 1, &assignments)).collect();
        assert_eq!(w.persist(Ok(())), 1);
        for (ticket, id) in tickets.into_iter().zip(&ids) {
            assert_eq!(w.synced(ticket).unwrap().assignment, id.as_bytes());
        }
        assert_eq!(w.group.state(), GroupState::Stable);
        w.fx.clear();
        (w, ids)
    }
}

fn member(name: &str) -> JoinRequest {
    JoinRequest {
        member_id: String::new(),
        instance_id: None,
        client_id: name.into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        protocol_type: "consumer".into(),
        protocols: protocols(&["range"]),
        requires_known_member_id: false,
        supports_skipping_assignment: false,
        unique: "u".into(),
    }
}

fn fixed(instance: &str, unique: &str) -> JoinRequest {
    JoinRequest { instance_id: Some(instance.into()), unique: unique.into(), ..member("c") }
}

fn known(id: &str, request: JoinRequest) -> JoinRequest {
    JoinRequest { member_id: id.into(), ..request }
}

fn protocols(names: &[&str]) -> Vec<Protocol> {
    names.iter().map(|n| Protocol { name: (*n).into(), metadata: Bytes::from(format!("m-{n}")) }).collect()
}

#[test]
fn a_new_dynamic_member_is_told_its_id_first() {
    let mut w = World::new();
    let ticket = w.join(JoinRequest { requires_known_member_id: true, ..member("c") });
    let reply = w.joined(ticket).unwrap();
    assert_eq!((reply.error, reply.member_id.as_str()), (Some(ErrorCode::MemberIdRequired), "c-u"));
    let ticket = w.join(known("c-u", member("c")));
    w.pass(99);
    assert!(w.joined(ticket).is_none(), "the first rebalance waits for more members");
    w.pass(1);
    let reply = w.joined(ticket).unwrap();
    assert_eq!((reply.error, reply.generation, reply.leader.as_str()), (None, 1, "c-u"));
    assert_eq!(reply.members.len(), 1);
    let ticket = w.join(known("c-unheard-of", member("c")));
    assert_eq!(w.joined(ticket).unwrap().error, Some(ErrorCode::UnknownMemberId));
}

#[test]
fn the_initial_delay_is_prolonged_while_members_come_but_not_beyond_the_rebalance_timeout() {
    let mut w = World::new();
    let join = |w: &mut World, n| w.join(JoinRequest { rebalance_timeout_ms: 1_000, ..member(n) });
    let first = join(&mut w, "a");
    w.pass(60);
    join(&mut w, "b");
    w.pass(60);
    join(&mut w, "c");
    assert!(w.joined(first).is_none());
    w.pass(179);
    assert!(w.joined(first).is_none());
    w.pass(1);
    assert_eq!(w.joined(first).unwrap().members.len(), 3);
}

#[test]
fn a_member_id_given_out_and_not_used_lapses() {
    let mut w = World::new();
    let ticket = w.join(JoinRequest { requires_known_member_id: true, ..member("c") });
    let id = w.joined(ticket).unwrap().member_id;
    w.pass(10_000);
    assert!(w.group.is_vacant());
    let ticket = w.join(known(&id, member("c")));
    assert_eq!(w.joined(ticket).unwrap().error, Some(ErrorCode::UnknownMemberId));
}

#[test]
fn nobody_gets_an_assignment_before_it_is_durable() {
    let mut w = World::new();
    let join = w.join(member("c"));
    w.pass(100);
    let id = w.joined(join).unwrap().member_id;
    let sync = w.sync(&id, 1, &[(&id, "mine"), ("stranger", "none")]);
    assert!(w.synced(sync).is_none());
    let repeated = w.sync(&id, 1, &[(&id, "other")]);
    assert_eq!(w.synced(sync).unwrap().error, Some(ErrorCode::RebalanceInProgress), "the former request is answered");
    assert_eq!(w.persist(Ok(())), 1, "written once");
    assert_eq!(w.synced(repeated).unwrap().assignment, "mine");
    assert_eq!(w.group.describe().members[0].assignment, "mine");
}

#[test]
fn a_failed_write_of_the_assignments_starts_over() {
    let mut w = World::new();
    let join = w.join(member("c"));
    w.pass(100);
    let id = w.joined(join).unwrap().member_id;
    let sync = w.sync(&id, 1, &[]);
    w.persist(Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(w.synced(sync).unwrap().error, Some(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(w.group.state(), GroupState::PreparingRebalance);
    let again = w.join(known(&id, member("c")));
    assert_eq!(w.joined(again).unwrap().generation, 2);
}

#[test]
fn a_second_member_makes_the_first_rejoin() {
    let (mut w, ids) = World::stable(vec![member("a")]);
    let newcomer = w.join(member("b"));
    assert_eq!(w.group.heartbeat(&ids[0], None, 1, w.now), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(w.group.admit_commit(&ids[0], None, 1, w.now), Ok(()), "the old generation may finish its work");
    let rejoin = w.join(known(&ids[0], member("a")));
    let (old, new) = (w.joined(rejoin).unwrap(), w.joined(newcomer).unwrap());
    assert_eq!((old.generation, new.generation), (2, 2));
    assert_eq!((old.leader.as_str(), old.members.len(), new.members.len()), (ids[0].as_str(), 2, 0));
    assert_eq!(w.group.admit_commit(&ids[0], None, 2, w.now), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(w.group.admit_commit(&ids[0], None, 1, w.now), Err(ErrorCode::IllegalGeneration));
    assert_eq!(w.group.admit_commit("", None, -1, w.now), Err(ErrorCode::UnknownMemberId), "members own the offsets");
}

#[test]
fn a_silent_member_is_removed_and_the_rest_rebalance() {
    let (mut w, ids) = World::stable(vec![member("a"), member("b")]);
    w.pass(9_000);
    assert_eq!(w.group.heartbeat(&ids[0], None, 1, w.now), Ok(()));
    w.pass(1_000);
    assert_eq!((w.evictions(Eviction::Session), w.group.state()), (1, GroupState::PreparingRebalance));
    let rejoin = w.join(known(&ids[0], member("a")));
    assert_eq!(w.joined(rejoin).unwrap().members.len(), 1);
    assert_eq!(w.group.heartbeat(&ids[1], None, 1, w.now), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn who_does_not_rejoin_in_time_is_left_behind() {
    let (mut w, ids) = World::stable(vec![member("a"), member("b")]);
    let rejoin = w.join(known(&ids[0], member("a")));
    for _ in 0..3 {
        w.pass(6_000);
        let _ = w.group.heartbeat(&ids[1], None, 1, w.now);
        assert!(w.joined(rejoin).is_none());
    }
    w.pass(2_000);
    assert_eq!(w.joined(rejoin).unwrap().members.len(), 1);
    assert_eq!(w.evictions(Eviction::Rebalance), 1);
}

#[test]
fn who_never_asks_for_its_assignment_is_removed() {
    let mut w = World::new();
    let (a, b) = (w.join(member("a")), w.join(member("b")));
    w.pass(1_000);
    let (a, b) = (w.joined(a).unwrap().member_id, w.joined(b).unwrap().member_id);
    let sync = w.sync(&b, 1, &[]);
    for _ in 0..4 {
        w.pass(5_000);
        let _ = w.group.heartbeat(&a, None, 1, w.now);
    }
    assert_eq!(w.evictions(Eviction::Sync), 1, "the leader never handed in assignments");
    assert_eq!(w.synced(sync).unwrap().error, Some(ErrorCode::RebalanceInProgress));
}

#[test]
fn a_static_member_returns_without_a_rebalance_and_fences_its_former_self() {
    let (mut w, ids) = World::stable(vec![fixed("i1", "x"), fixed("i2", "y")]);
    assert_eq!(ids, ["i1-x", "i2-y"]);
    let join = w.join(fixed("i2", "z"));
    assert_eq!(w.persist(Ok(())), 1);
    let reply = w.joined(join).unwrap();
    assert_eq!((reply.error, reply.generation, reply.member_id.as_str()), (None, 1, "i2-z"));
    assert_eq!(w.group.state(), GroupState::Stable);
    let sync = w.sync("i2-z", 1, &[]);
    assert_eq!(w.synced(sync).unwrap().assignment, "i2-y", "the assignment of its former self");
    assert_eq!(w.group.heartbeat("i2-y", Some("i2"), 1, w.now), Err(ErrorCode::FencedInstanceId));
    assert_eq!(w.group.admit_commit("i2-y", Some("i2"), 1, w.now), Err(ErrorCode::FencedInstanceId));
    assert_eq!(w.group.heartbeat("i2-z", Some("nobody"), 1, w.now), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_returning_static_leader_keeps_the_assignments() {
    let (mut w, _) = World::stable(vec![fixed("i1", "x"), fixed("i2", "y")]);
    let join = w.join(fixed("i1", "z"));
    w.persist(Ok(()));
    let reply = w.joined(join).unwrap();
    assert_eq!((reply.leader.as_str(), reply.members.len()), ("i1-x", 0), "an older client must not think it leads");
    let join = w.join(JoinRequest { supports_skipping_assignment: true, ..fixed("i1", "zz") });
    w.persist(Ok(()));
    let reply = w.joined(join).unwrap();
    assert_eq!((reply.leader.as_str(), reply.members.len(), reply.skip_assignment), ("i1-zz", 2, true));
}

#[test]
fn a_static_member_with_another_subscription_protocol_rebalances() {
    let (mut w, _) = World::stable(vec![fixed("i1", "x")]);
    let join = w.join(JoinRequest { protocols: protocols(&["sticky", "range"]), ..fixed("i1", "z") });
    assert_eq!(w.persist(Ok(())), 0);
    assert_eq!(w.joined(join).unwrap().protocol.as_deref(), Some("sticky"));
    assert_eq!(w.group.generation(), 2);
}

#[test]
fn an_absent_static_member_is_kept_through_a_rebalance_until_its_session_ends() {
    let (mut w, ids) =
        World::stable(vec![fixed("i1", "x"), JoinRequest { session_timeout_ms: 50_000, ..fixed("i2", "y") }]);
    let rejoin = w.join(known(&ids[0], fixed("i1", "x")));
    w.pass(20_000);
    assert_eq!(w.joined(rejoin).unwrap().members.len(), 2);
    w.sync(&ids[0], 2, &[]);
    w.persist(Ok(()));
    for _ in 0..6 {
        assert_eq!(w.evictions(Eviction::Session) + w.evictions(Eviction::Sync), 0);
        w.pass(5_000);
        let _ = w.group.heartbeat(&ids[0], Some("i1"), 2, w.now);
        if w.group.member_count() == 1 {
            break;
        }
    }
    assert_eq!(w.evictions(Eviction::Session) + w.evictions(Eviction::Sync), 1);
    assert_eq!(w.group.heartbeat(&ids[1], Some("i2"), 2, w.now), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn leaving_by_id_by_instance_and_by_strangers() {
    let (mut w, ids) = World::stable(vec![member("a"), fixed("i", "x")]);
    let leave =
        |id: &str, instance: Option<&str>| Leaving { member_id: id.into(), instance_id: instance.map(Into::into) };
    let results = w.group.leave(
        &[leave("", Some("i")), leave("", None), leave(&ids[0], Some("i")), leave("nobody", None)],
        w.now,
        &mut w.fx,
    );
    let unknown = Err(ErrorCode::UnknownMemberId);
    assert_eq!(results, [Ok(()), unknown, unknown, unknown]);
    assert_eq!(w.group.state(), GroupState::PreparingRebalance);
    assert_eq!(w.group.leave(&[leave(&ids[0], None)], w.now, &mut w.fx), [Ok(())]);
    assert_eq!((w.group.state(), w.group.generation()), (GroupState::Empty, 2));
    assert!(matches!(w.fx.last(), Some(Effect::Persist(_, m)) if m.members.is_empty() && m.protocol.is_none()));
}

#[test]
fn protocols_are_chosen_by_vote_among_those_everyone_knows() {
    let mut w = World::new();
    let of = |n: &str, p: &[&str]| JoinRequest { protocols: protocols(p), ..member(n) };
    let tickets = [
        w.join(of("a", &["own", "sticky", "range"])),
        w.join(of("b", &["range", "sticky"])),
        w.join(of("c", &["range", "sticky"])),
    ];
    let stranger = w.join(of("d", &["own"]));
    assert_eq!(w.joined(stranger).unwrap().error, Some(ErrorCode::InconsistentGroupProtocol));
    let connect = w.join(JoinRequest { protocol_type: "connect".into(), ..member("e") });
    assert_eq!(w.joined(connect).unwrap().error, Some(ErrorCode::InconsistentGroupProtocol));
    w.pass(1_000);
    for ticket in tickets {
        assert_eq!(w.joined(ticket).unwrap().protocol.as_deref(), Some("range"));
    }
}

#[test]
fn sizes_and_timeouts_are_bounded() {
    let mut w = World::new();
    let mut refused = |request| {
        let ticket = w.join(request);
        w.joined(ticket).and_then(|r| r.error)
    };
    let session = |ms| JoinRequest { session_timeout_ms: ms, ..member("c") };
    assert_eq!(refused(session(999)), Some(ErrorCode::InvalidSessionTimeout));
    assert_eq!(refused(session(60_001)), Some(ErrorCode::InvalidSessionTimeout));
    assert_eq!(refused(session(-1)), Some(ErrorCode::InvalidSessionTimeout));
    let huge = vec![Protocol { name: "range".into(), metadata: Bytes::from(vec![0; 1_000]) }];
    assert_eq!(refused(JoinRequest { protocols: huge, ..member("c") }), Some(ErrorCode::InvalidRequest));
    assert_eq!(
        refused(JoinRequest { protocols: Vec::new(), ..member("c") }),
        Some(ErrorCode::InconsistentGroupProtocol)
    );
    for n in ["a", "b", "c", "d", "e"] {
        assert_eq!(refused(member(n)), None);
    }
    assert_eq!(refused(member("f")), Some(ErrorCode::GroupMaxSizeReached));
}

#[test]
fn what_is_stored_restores_the_group() {
    let (w, ids) = World::stable(vec![fixed("i1", "x"), member("b")]);
    let stored = w.group.metadata(None);
    let read = crate::coordinator::metadata::GroupMetadata::decode(&stored.encode().unwrap()).unwrap();
    assert_eq!(read, stored);
    let mut restored = Group::restore(read, LIMITS, w.now);
    assert_eq!(restored.describe(), w.group.describe());
    for (id, instance) in [(&ids[0], Some("i1")), (&ids[1], None)] {
        assert_eq!(restored.heartbeat(id, instance, 1, w.now), Ok(()));
    }
    assert_eq!(restored.next_deadline(), Some(w.now.mono_ms + 10_000), "everyone has a session to report again");
}

#[test]
fn the_end_of_a_group_answers_everyone() {
    let (mut w, ids) = World::stable(vec![member("a"), member("b")]);
    let join = w.join(known(&ids[0], member("a")));
    w.group.end(ErrorCode::NotCoordinator, w.now, &mut w.fx);
    assert_eq!(w.joined(join).unwrap().error, Some(ErrorCode::NotCoordinator));
    assert_eq!((w.group.state(), w.group.next_deadline()), (GroupState::Dead, None));
    let late = w.join(member("c"));
    assert_eq!(w.joined(late).unwrap().error, Some(ErrorCode::CoordinatorNotAvailable));
}
