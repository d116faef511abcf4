//! Answers questions about files, and sees whether all of them are read to their end.

use super::Engine;
use crate::{
    clock::Now,
    produce::Producer,
    status::FileStatus,
    tracked::{Queued, Tracked},
};

impl<P: Producer> Engine<P> {
    pub(super) fn answer_questions(&mut self, now: Now) {
        let questions = self.around.desk.questions();
        if questions.is_empty() {
            return;
        }
        let of_files = self.slots.iter().filter(|(_, t)| self.inputs[t.input].spool.is_none());
        let mut files: Vec<FileStatus> = of_files.map(|(_, t)| self.status_of(t, now)).collect();
        files.extend((0..self.inputs.len()).filter_map(|at| self.status_of_spool(at, now)));
        // Who asked may be gone.
        questions.into_iter().for_each(|asked| drop(asked.send(files.clone())));
    }

    pub(super) fn status_of(&self, tracked: &Tracked, now: Now) -> FileStatus {
        let (since, position) = tracked.rate_since.unwrap_or((now.mono, tracked.position));
        let seconds = now.mono.saturating_duration_since(since).as_secs_f64();
        let bytes = tracked.position.saturating_sub(position) as f64;
        let name = tracked.name.as_ref().filter(|name| **name != tracked.path);
        FileStatus {
            input: self.inputs[tracked.input].config.name.clone(),
            path: tracked.path.display().to_string(),
            name: name.map(|name| name.display().to_string()),
            size: tracked.size.max(tracked.position),
            acknowledged: tracked.position,
            read: tracked.offset,
            bytes_per_second: if seconds > 0.1 { (bytes / seconds) as u64 } else { 0 },
            state: self.state_of(tracked, now),
        }
    }

    fn state_of(&self, tracked: &Tracked, now: Now) -> String {
        let waits = |at: std::time::Instant| at.saturating_duration_since(now.mono).as_secs_f64();
        let words = if tracked.done {
            "finished"
        } else if tracked.content_gone && tracked.deleted {
            "deleted and given up, what was read is under way"
        } else if tracked.content_gone {
            "truncated, what was read is under way"
        } else if let Some(code) = self.inputs[tracked.input].refusal.code() {
            return format!("refused by kafka: {code}");
        } else if let Some(at) = tracked.retry_at.filter(|at| *at > now.mono) {
            return format!("delivery failed, read again in {:.1} s", waits(at));
        } else if let Err(wait) = tracked.limits.allowance() {
            return format!("delayed by a limit for {:.1} s", wait.as_secs_f64());
        } else if self.no_space {
            "waits for space for the checkpoint"
        } else if self.full && tracked.queued == Queued::Read {
            "waits for kafka"
        } else if self.capped_until.is_some() && tracked.queued == Queued::Read {
            "waits for its share of the CPU (max_cpu_percent)"
        } else if tracked.at_end && !tracked.in_flight.is_empty() {
            "waits for acknowledgements"
        } else if tracked.at_end && tracked.has_partial() {
            "waits for the end of a line"
        } else if tracked.at_end && tracked.deleted {
            "deleted, at its end"
        } else if tracked.at_end {
            "at its end"
        } else if tracked.after.is_some() {
            "waits for the file before it"
        } else {
            "reading"
        };
        words.to_owned()
    }

    /// Where rates are counted from; now and then moved on.
    pub(super) fn mark_rates(&mut self, now: Now) {
        let slots: Vec<usize> = self.slots.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            if let Some(tracked) = self.slots.get_mut(slot) {
                tracked.rate_since = Some((now.mono, tracked.position));
            }
        }
    }

    /// Whether every file is read to its end, every event sent and acknowledged.
    pub(super) fn all_read(&self) -> bool {
        let finished = |t: &Tracked| {
            // A compressed file waits for its original, which is read itself.
            let waits = t.archived && !t.resolved && t.is_untouched();
            let read =
                waits || t.done || t.at_end && (t.partial.is_none() || t.file.is_none()) && t.queued == Queued::No;
            read && t.in_flight.is_empty()
        };
        self.look.is_empty() && self.read.is_empty() && self.slots.iter().all(|(_, t)| finished(t))
    }
}
