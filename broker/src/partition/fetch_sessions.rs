//! Incremental fetch sessions (KIP-227): the broker remembers what a consumer fetches and answers only what is new.
//!
//! A session is made by a full fetch with epoch 0 while there is room, and goes on with epochs 1, 2, …; a wrong epoch or an unknown id tells the
//! client to begin anew. Sessions and the partitions in them are bounded; one that was idle for two minutes makes room for a new one.

use std::{collections::HashMap, time::Duration};

use logmill_protocol::{
    ErrorCode, Uuid,
    messages::fetch::{FetchPartition, FetchRequest},
};
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge, Registry};

/// As Kafka's max.incremental.fetch.session.cache.slots.
const MAX_SESSIONS: usize = 1000;
/// Over all sessions.
const MAX_PARTITIONS: usize = 200_000;
/// As Kafka's min.incremental.fetch.session.eviction.ms.
const EVICTABLE_AFTER: Duration = Duration::from_secs(120);

/// A partition as requests of a session name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Empty from version 13 on.
    pub(crate) topic: String,
    pub(crate) id: Uuid,
    pub(crate) partition: i32,
}

/// What to fetch, and in which session.
#[derive(Debug)]
pub(crate) struct Plan {
    /// 0: none.
    pub(crate) session_id: i32,
    /// The answer leaves out what has not changed.
    pub(crate) incremental: bool,
    /// In the order to be served.
    pub(crate) wanted: Vec<(Key, FetchPartition)>,
}

/// What a partition was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) failed: bool,
    pub(crate) has_records: bool,
    pub(crate) high_watermark: i64,
    pub(crate) log_start_offset: i64,
}

struct Cached {
    request: FetchPartition,
    /// High watermark and log start as last answered; none after an error.
    known: Option<(i64, i64)>,
    /// Who got records goes behind those who did not.
    turn: u64,
}

struct Session {
    /// That the next request must have.
    epoch: i32,
    by_id: bool,
    last_used: Duration,
    next_turn: u64,
    partitions: HashMap<Key, Cached>,
}

pub(crate) struct FetchSessions {
    sessions: Mutex<HashMap<i32, Session>>,
    count: IntGauge,
    partitions: IntGauge,
    evictions: IntCounter,
}

impl FetchSessions {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let count = IntGauge::new("logmill_broker_incremental_fetch_sessions", "Fetch sessions remembered")?;
        let partitions = IntGauge::new(
            "logmill_broker_incremental_fetch_partitions_cached",
            "Partitions remembered over all fetch sessions",
        )?;
        let evictions = IntCounter::new(
            "logmill_broker_incremental_fetch_session_evictions_total",
            "Idle fetch sessions that made room for others",
        )?;
        registry.register(Box::new(count.clone()))?;
        registry.register(Box::new(partitions.clone()))?;
        registry.register(Box::new(evictions.clone()))?;
        Ok(Self { sessions: Mutex::default(), count, partitions, evictions })
    }

    /// What a request asks for, all that its session remembers included. `now` is monotonic, `new_id` a positive number hard to guess.
    pub(crate) fn begin(
        &self,
        request: &FetchRequest<'_>,
        version: i16,
        now: Duration,
        new_id: impl FnMut() -> i32,
    ) -> Result<Plan, ErrorCode> {
        let mut sessions = self.sessions.lock();
        let result = match request.session_epoch {
            i32::MIN..=0 => Ok(self.begin_full(&mut sessions, request, version, now, new_id)),
            epoch => go_on(&mut sessions, request, version, now, epoch),
        };
        self.count.set(i64::try_from(sessions.len()).unwrap_or(i64::MAX));
        self.partitions.set(i64::try_from(cached(&sessions)).unwrap_or(i64::MAX));
        result
    }

    fn begin_full(
        &self,
        sessions: &mut HashMap<i32, Session>,
        request: &FetchRequest<'_>,
        version: i16,
        now: Duration,
        mut new_id: impl FnMut() -> i32,
    ) -> Plan {
        if request.session_id != 0 {
            sessions.remove(&request.session_id);
        }
        let wanted: Vec<_> = asked(request).collect();
        let none = |wanted| Plan { session_id: 0, incremental: false, wanted };
        if request.session_epoch != 0 || wanted.is_empty() {
            return none(wanted);
        }
        if sessions.len() >= MAX_SESSIONS || cached(sessions) + wanted.len() > MAX_PARTITIONS {
            let idle = |session: &Session| now.saturating_sub(session.last_used);
            let oldest = sessions.iter().max_by_key(|(_, session)| idle(session));
            match oldest.filter(|(_, session)| idle(session) > EVICTABLE_AFTER).map(|(id, _)| *id) {
                Some(id) => {
                    sessions.remove(&id);
                    self.evictions.inc();
                }
                None => return none(wanted),
            }
            if cached(sessions) + wanted.len() > MAX_PARTITIONS {
                return none(wanted);
            }
        }
        let mut session_id = new_id();
        while session_id <= 0 || sessions.contains_key(&session_id) {
            session_id = new_id();
        }
        let partitions = (0..)
            .zip(&wanted)
            .map(|(turn, (key, request))| (key.clone(), Cached { request: request.clone(), known: None, turn }));
        let partitions: HashMap<_, _> = partitions.collect();
        let next_turn = wanted.len() as u64;
        let by_id = version >= 13;
        sessions.insert(session_id, Session { epoch: 1, by_id, last_used: now, next_turn, partitions });
        Plan { session_id, incremental: false, wanted }
    }

    /// Notes what was found, and says for each whether the answer has to name it.
    pub(crate) fn finish(&self, plan: &Plan, answers: &[Answer]) -> Vec<bool> {
        let mut sessions = self.sessions.lock();
        let Some(session) = sessions.get_mut(&plan.session_id) else { return vec![true; answers.len()] };
        plan.wanted
            .iter()
            .zip(answers)
            .map(|((key, _), answer)| {
                let Some(cached) = session.partitions.get_mut(key) else { return true };
                let now = (!answer.failed).then_some((answer.high_watermark, answer.log_start_offset));
                let news = answer.failed || answer.has_records || cached.known != now;
                cached.known = now;
                if answer.has_records {
                    cached.turn = session.next_turn;
                    session.next_turn += 1;
                }
                news || !plan.incremental
            })
            .collect()
    }
}

fn cached(sessions: &HashMap<i32, Session>) -> usize {
    sessions.values().map(|session| session.partitions.len()).sum()
}

fn go_on(
    sessions: &mut HashMap<i32, Session>,
    request: &FetchRequest<'_>,
    version: i16,
    now: Duration,
    epoch: i32,
) -> Result<Plan, ErrorCode> {
    let others: usize = cached(sessions);
    let session = sessions.get_mut(&request.session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
    if session.by_id != (version >= 13) {
        return Err(ErrorCode::FetchSessionTopicIdError);
    }
    if session.epoch != epoch {
        return Err(ErrorCode::InvalidFetchSessionEpoch);
    }
    session.epoch = epoch.checked_add(1).unwrap_or(1);
    session.last_used = now;
    let mut room = MAX_PARTITIONS.saturating_sub(others);
    for (key, asked) in asked(request) {
        match session.partitions.get_mut(&key) {
            Some(cached) => cached.request = asked,
            // The client begins anew, without a session if there is no room.
            None if room == 0 => {
                sessions.remove(&request.session_id);
                return Err(ErrorCode::FetchSessionIdNotFound);
            }
            None => {
                room -= 1;
                let turn = session.next_turn;
                session.next_turn += 1;
                session.partitions.insert(key, Cached { request: asked, known: None, turn });
            }
        }
    }
    for topic in &request.forgotten_topics_data {
        for partition in &topic.partitions {
            let key = Key { topic: topic.topic.to_owned(), id: topic.topic_id, partition: *partition };
            session.partitions.remove(&key);
        }
    }
    let mut wanted: Vec<_> = session.partitions.iter().collect();
    wanted.sort_unstable_by_key(|(_, cached)| cached.turn);
    let wanted = wanted.into_iter().map(|(key, cached)| (key.clone(), cached.request.clone())).collect();
    Ok(Plan { session_id: request.session_id, incremental: true, wanted })
}

fn asked<'a>(request: &'a FetchRequest<'_>) -> impl Iterator<Item = (Key, FetchPartition)> + use<'a> {
    request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|asked| {
            let key = Key { topic: topic.topic.to_owned(), id: topic.topic_id, partition: asked.partition };
            (key, asked.clone())
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use logmill_protocol::messages::fetch::{FetchTopic, ForgottenTopic};

    use super::*;

    fn request(id: i32, epoch: i32, partitions: &[(i32, i64)], forgotten: &[i32]) -> FetchRequest<'static> {
        let asked = partitions.iter().map(|(partition, fetch_offset)| FetchPartition {
            partition: *partition,
            fetch_offset: *fetch_offset,
            ..FetchPartition::default()
        });
        let topics = vec![FetchTopic { topic: "t", partitions: asked.collect(), ..FetchTopic::default() }];
        FetchRequest {
            session_id: id,
            session_epoch: epoch,
            topics: if partitions.is_empty() { Vec::new() } else { topics },
            forgotten_topics_data: vec![ForgottenTopic {
                topic: "t",
                topic_id: Uuid::default(),
                partitions: forgotten.to_vec(),
            }],
            ..FetchRequest::default()
        }
    }

    fn sessions() -> FetchSessions {
        FetchSessions::register(&Registry::new()).unwrap()
    }

    const NOW: Duration = Duration::from_secs(1000);

    fn wanted(plan: &Plan) -> Vec<(i32, i64)> {
        plan.wanted.iter().map(|(key, request)| (key.partition, request.fetch_offset)).collect()
    }

    fn answer(high_watermark: i64, has_records: bool) -> Answer {
        Answer { failed: false, has_records, high_watermark, log_start_offset: 0 }
    }

    #[test]
    fn a_session_remembers_and_answers_only_what_is_new() {
        let sessions = sessions();
        let first = sessions.begin(&request(0, 0, &[(0, 5), (1, 6), (2, 7)], &[]), 12, NOW, || 77).unwrap();
        assert_eq!((first.session_id, first.incremental), (77, false));
        let told = sessions.finish(&first, &[answer(9, true), answer(6, false), answer(7, false)]);
        assert_eq!(told, [true; 3], "a full fetch names all");
        let second = sessions.begin(&request(77, 1, &[(0, 9)], &[2]), 12, NOW, || 0).unwrap();
        assert!(second.incremental);
        assert_eq!(wanted(&second), [(1, 6), (0, 9)], "who got records comes last");
        assert_eq!(sessions.finish(&second, &[answer(6, false), answer(9, false)]), [false; 2]);
        let third = sessions.begin(&request(77, 2, &[(3, 0)], &[]), 12, NOW, || 0).unwrap();
        let failed = Answer { failed: true, ..answer(-1, false) };
        assert_eq!(sessions.finish(&third, &[answer(7, false), answer(9, false), failed]), [true, false, true]);
        assert_eq!((sessions.count.get(), sessions.partitions.get()), (1, 3));
        assert_eq!(
            sessions.begin(&request(77, 2, &[], &[]), 12, NOW, || 0).unwrap_err(),
            ErrorCode::InvalidFetchSessionEpoch
        );
        assert_eq!(
            sessions.begin(&request(77, 3, &[], &[]), 13, NOW, || 0).unwrap_err(),
            ErrorCode::FetchSessionTopicIdError
        );
        assert_eq!(
            sessions.begin(&request(78, 1, &[], &[]), 12, NOW, || 0).unwrap_err(),
            ErrorCode::FetchSessionIdNotFound
        );
        let last = sessions.begin(&request(77, -1, &[(0, 1)], &[]), 12, NOW, || 0).unwrap();
        assert_eq!((last.session_id, sessions.count.get()), (0, 0));
        assert_eq!(sessions.finish(&last, &[answer(9, false)]), [true]);
    }

    #[test]
    fn sessions_are_bounded_and_idle_ones_make_room() {
        let sessions = sessions();
        for id in 1..=1000 {
            assert_eq!(sessions.begin(&request(0, 0, &[(0, 0)], &[]), 12, NOW, || id).unwrap().session_id, id);
        }
        let more = |now| sessions.begin(&request(0, 0, &[(0, 0)], &[]), 12, now, || 5000).unwrap().session_id;
        assert_eq!(more(NOW), 0, "served without a session");
        assert_eq!(more(NOW + EVICTABLE_AFTER + Duration::from_millis(1)), 5000);
        assert_eq!((sessions.count.get(), sessions.evictions.get()), (1000, 1));
        let many: Vec<_> = (0..200_000).map(|n| (n, 0)).collect();
        assert_eq!(sessions.begin(&request(0, 0, &many, &[]), 12, NOW, || 6000).unwrap().session_id, 0);
    }
}
