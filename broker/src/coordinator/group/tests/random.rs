//! Random sequences of requests, writes that succeed or fail, and passing time, by seed.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

struct Run {
    world: World,
    rng: fastrand::Rng,
    /// Tickets without an answer.
    open: BTreeSet<u64>,
    /// Member ids and generations clients have been told; they go on using old ones.
    told: Vec<(String, i32)>,
    /// Generation → leader and protocol its members were told.
    formed: BTreeMap<i32, (String, Option<String>)>,
    writes: Vec<u64>,
    seen: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            world: World::new(),
            rng: fastrand::Rng::with_seed(seed),
            open: BTreeSet::new(),
            told: Vec::new(),
            formed: BTreeMap::new(),
            writes: Vec::new(),
            seen: 0,
        }
    }

    fn someone(&mut self) -> (String, i32) {
        if self.told.is_empty() || self.rng.u8(..10) == 0 {
            return (String::new(), self.rng.i32(-1..3));
        }
        // Mostly someone recent.
        let recent = self.told.len().min(if self.rng.u8(..10) == 0 { usize::MAX } else { 6 });
        let at = self.told.len() - 1 - self.rng.usize(..recent);
        self.told[at].clone()
    }

    fn instance(&mut self, member: &str) -> Option<String> {
        match (member.split_once('-'), self.rng.u8(..8)) {
            (Some((stem, _)), 0..7) if stem.starts_with('i') => Some(stem.to_owned()),
            (_, 7) => Some(format!("i{}", self.rng.u8(..3))),
            _ => None,
        }
    }

    fn step(&mut self) {
        match self.rng.u8(..12) {
            0..=3 => self.join(),
            4 | 5 => self.sync(),
            6 => {
                let (id, generation) = self.someone();
                let instance = self.instance(&id);
                let _ = self.world.group.heartbeat(&id, instance.as_deref(), generation, self.world.now);
            }
            7 => {
                let (id, _) = self.someone();
                let instance_id = self.instance(&id);
                let leaving = [Leaving { member_id: id, instance_id }];
                self.world.group.leave(&leaving, self.world.now, &mut self.world.fx);
            }
            8 | 9 => self.finish_a_write(),
            _ => {
                let longest = [50, 500, 5_000, 30_000][self.rng.usize(..4)];
                self.world.pass(self.rng.u64(..longest));
            }
        }
        self.check();
    }

    fn join(&mut self) {
        let (mut member_id, _) = self.someone();
        if self.rng.u8(..3) == 0 {
            member_id.clear();
        }
        let instance_id = self.instance(&member_id);
        let offered: &[&str] =
            [&["range"][..], &["range", "sticky"], &["sticky", "range"], &["sticky"]][self.rng.usize(..4)];
        let request = JoinRequest {
            member_id,
            instance_id,
            session_timeout_ms: self.rng.i32(1_000..20_000),
            rebalance_timeout_ms: self.rng.i32(-1..20_000),
            protocols: protocols(offered),
            requires_known_member_id: self.rng.bool(),
            supports_skipping_assignment: self.rng.bool(),
            unique: format!("{:x}", self.rng.u64(..)),
            ..member("c")
        };
        let ticket = self.world.join(request);
        self.open.insert(ticket);
    }

    fn sync(&mut self) {
        let (id, generation) = self.someone();
        let everyone: Vec<String> = self.told.iter().rev().take(4).map(|(id, _)| id.clone()).collect();
        let assignments: Vec<(&str, &str)> = everyone.iter().map(|id| (id.as_str(), id.as_str())).collect();
        let ticket = self.world.sync(&id, generation, &assignments);
        self.open.insert(ticket);
    }

    fn finish_a_write(&mut self) {
        if self.writes.is_empty() {
            return;
        }
        let number = self.writes.remove(self.rng.usize(..self.writes.len()));
        let result = if self.rng.u8(..5) == 0 { Err(ErrorCode::CoordinatorNotAvailable) } else { Ok(()) };
        self.world.group.persisted(number, result, self.world.now, &mut self.world.fx);
    }

    fn check(&mut self) {
        for effect in self.world.fx.split_off(0) {
            self.seen += 1;
            match effect {
                Effect::Joined(ticket, reply) => {
                    assert!(self.open.remove(&ticket), "join {ticket} answered twice");
                    if reply.error.is_none() || reply.error == Some(ErrorCode::MemberIdRequired) {
                        self.told.push((reply.member_id.clone(), reply.generation));
                    }
                    if reply.error.is_none() {
                        self.check_generation(&reply);
                    }
                }
                Effect::Synced(ticket, reply) => {
                    assert!(self.open.remove(&ticket), "sync {ticket} answered twice");
                    let a = &reply.assignment;
                    assert!(reply.error.is_none() || a.is_empty());
                }
                Effect::Persist(number, _) => self.writes.push(number),
                Effect::RebalanceStarted | Effect::GenerationFormed | Effect::Evicted(_) => {}
            }
        }
        let group = &self.world.group;
        let waiting: BTreeSet<u64> =
            group.members.values().flat_map(|m| [m.awaiting_join, m.awaiting_sync]).flatten().collect();
        assert_eq!(waiting, self.open, "answers lost");
        assert_eq!(group.leader.is_none(), group.members.is_empty());
        assert!(group.leader.iter().all(|l| group.members.contains_key(l)));
        assert!(group.state != GroupState::Empty || group.members.is_empty());
        assert!(group.members.len() <= LIMITS.max_size);
        let fixed: BTreeMap<String, String> =
            group.members.values().filter_map(|m| Some((m.instance_id.clone()?, m.id.clone()))).collect();
        assert_eq!(fixed, group.static_members);
        for m in group.members.values() {
            assert!(m.awaiting_join.is_none() || m.awaiting_sync.is_none());
        }
        assert!(group.next_deadline().is_none_or(|at| at >= self.world.now.mono_ms));
    }

    fn check_generation(&mut self, reply: &JoinReply) {
        // A static member back without a rebalance: an older client is told the former leader, a newer one a new id.
        let protocol = reply.protocol.clone();
        let told = self.formed.entry(reply.generation).or_insert_with(|| (reply.leader.clone(), protocol.clone()));
        assert_eq!(told.1, protocol, "one protocol in generation {}", reply.generation);
        let instance = |id: &str| id.split_once('-').map(|(stem, _)| stem.to_owned()).filter(|s| s.starts_with('i'));
        let same_instance = instance(&told.0).is_some() && instance(&told.0) == instance(&reply.leader);
        assert!(told.0 == reply.leader || same_instance, "one leader in generation {}", reply.generation);
        if !reply.members.is_empty() {
            assert_eq!(reply.leader, reply.member_id);
            assert!(reply.members.iter().any(|m| m.id == reply.member_id));
        }
    }

    /// Every client goes silent; nothing may be left waiting.
    fn drain(&mut self) {
        for _ in 0..500 {
            while !self.writes.is_empty() {
                self.finish_a_write();
                self.check();
            }
            let Some(at) = self.world.group.next_deadline() else { break };
            self.world.set(at.max(self.world.now.mono_ms));
            self.world.group.advance(self.world.now, &mut self.world.fx);
            self.check();
            let next = self.world.group.next_deadline();
            assert!(next.is_none_or(|n| n > self.world.now.mono_ms), "no progress at {at}");
        }
        assert!(self.world.group.is_vacant(), "stuck in {:?}", self.world.group.state());
        assert!(self.open.is_empty());
    }
}

#[test]
fn random_sequences_keep_the_invariants() {
    let mut generations = 0;
    let mut effects = 0;
    for seed in 0..400 {
        let mut run = Run::new(seed);
        for _ in 0..300 {
            run.step();
        }
        run.drain();
        generations += run.world.group.generation();
        effects += run.seen;
    }
    // Worth something only if it gets somewhere.
    assert!(generations > 4_000 && effects > 40_000, "{generations} generations, {effects} effects");
}
