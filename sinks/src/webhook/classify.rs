//! What a status means: pure.

use logmill_config::sinks::Statuses;

use crate::connector::Class;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    /// The receiver as a whole is left alone for a while.
    RetryAll,
    /// Only these events are tried again later.
    RetryEach,
    /// For what is in the request.
    Reject(Class),
    /// Until somebody mends it.
    Pause,
}

pub(super) fn verdict(status: u16, other: &Statuses) -> Verdict {
    let listed = [
        (&other.done, Verdict::Done),
        (&other.retry, Verdict::RetryEach),
        (&other.reject, Verdict::Reject(Class::Document)),
        (&other.pause, Verdict::Pause),
    ];
    if let Some((_, verdict)) = listed.into_iter().find(|(list, _)| list.contains(&status)) {
        return verdict;
    }
    match status {
        200..=299 => Verdict::Done,
        429 | 503 => Verdict::RetryAll,
        408 | 425 | 500..=599 => Verdict::RetryEach,
        413 => Verdict::Reject(Class::TooLarge),
        // Credentials, a proxy's too; a URL that is not the receiver's own.
        401 | 403 | 407 | 300..=399 => Verdict::Pause,
        400..=499 => Verdict::Reject(Class::Document),
        _ => Verdict::RetryEach,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_statuses() {
        let usual = Statuses::default();
        for (statuses, expected) in [
            (&[200, 201, 202, 204, 299][..], Verdict::Done),
            (&[429, 503], Verdict::RetryAll),
            (&[408, 425, 500, 502, 504, 599, 100, 999], Verdict::RetryEach),
            (&[413], Verdict::Reject(Class::TooLarge)),
            (&[401, 403, 407, 301, 302, 307, 308, 304], Verdict::Pause),
            (&[400, 404, 405, 409, 410, 415, 422, 451], Verdict::Reject(Class::Document)),
        ] {
            for status in statuses {
                assert_eq!(verdict(*status, &usual), expected, "{status}");
            }
        }
    }

    #[test]
    fn configured_ones_come_first() {
        let other = Statuses { done: vec![409], retry: vec![404], reject: vec![500], pause: vec![410] };
        let found = [409, 404, 500, 410, 201].map(|status| verdict(status, &other));
        let expected =
            [Verdict::Done, Verdict::RetryEach, Verdict::Reject(Class::Document), Verdict::Pause, Verdict::Done];
        assert_eq!(found, expected);
    }
}
