//! The CPU cap, limits and programs applied while running: each input's files get new limiters, full of a burst, and waiting files are looked
//! at; lines read from then on run through the new program.

use std::{
    cell::RefCell,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use logmill_config::agent::{AgentConfig, Input, Limit, LimitPer};

use super::{Engine, InputState};
use crate::{clock::Now, limit::Limits, produce::Producer, transform::Transform};

/// Hands the latest configuration to the reading thread, which takes its CPU cap, limits and programs and nothing else.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewLimits(Arc<Mutex<Option<Arc<AgentConfig>>>>);

impl NewLimits {
    pub(crate) fn set(&self, config: Arc<AgentConfig>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(config);
    }

    fn take(&self) -> Option<Arc<AgentConfig>> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<P: Producer> Engine<P> {
    /// Applies the limits and programs that were handed over, if any, to the inputs that have the same names.
    pub(super) fn relimit(&mut self, now: Now) {
        let Some(config) = self.around.relimit.take() else { return };
        if config.max_cpu_percent != self.config.max_cpu_percent {
            self.config.max_cpu_percent = config.max_cpu_percent;
            self.cpu.set(config.max_cpu_percent);
            tracing::info!(max_cpu_percent = config.max_cpu_percent, "cpu cap applied");
        }
        let of_all = config.limits != self.config.limits;
        if of_all {
            self.config.limits.clone_from(&config.limits);
            self.shared_limits = shared(&config.limits);
            tracing::info!(limits = config.limits.len(), "limits of all inputs applied");
        }
        for at in 0..self.inputs.len() {
            let input = &mut self.inputs[at];
            let new = config.inputs.iter().find(|new| new.name == input.config.name);
            if let Some(new) = new.filter(|new| new.transform != input.config.transform) {
                input.transform_by(new);
            }
            if let Some(new) = new.filter(|new| new.limits != input.config.limits) {
                input.config.limits.clone_from(&new.limits);
                input.shared_limits = shared(&new.limits);
                tracing::info!(input = new.name, limits = new.limits.len(), "limits applied");
            } else if !of_all {
                continue;
            }
            let slots: Vec<usize> = self.slots.iter().filter(|(_, t)| t.input == at).map(|(slot, _)| slot).collect();
            for slot in slots {
                let limits = self.limits_of(at);
                if let Some(tracked) = self.slots.get_mut(slot) {
                    tracked.limits = limits;
                }
                self.wake(slot);
            }
            let limits = self.limits_of(at);
            for original in self.replaced.values_mut().filter(|original| original.input == at) {
                original.limits = limits.clone();
            }
        }
        self.next_look = now.mono;
    }

    /// Those of one file of an input: its own, and those it shares.
    pub(super) fn limits_of(&self, input: usize) -> Limits {
        let InputState { config, shared_limits, .. } = &self.inputs[input];
        Limits::new(&config.limits, |per| *per == LimitPer::File).and(shared_limits).and(&self.shared_limits)
    }
}

impl InputState {
    /// Takes the program of `new`; with one that cannot be compiled any more the one before stays.
    fn transform_by(&mut self, new: &Input) {
        // Its key is that of the input as it runs.
        let with = Input { transform: new.transform.clone(), ..self.config.clone() };
        match Transform::open(&with) {
            Ok(transform) => {
                (self.transform, self.config) = (transform.map(RefCell::new), with);
                tracing::info!(input = new.name, "program applied");
            }
            Err(error) => tracing::error!(%error, "the program of an input is not applied, the one before stays"),
        }
    }
}

pub(super) fn shared(limits: &[Limit]) -> Limits {
    Limits::new(limits, |per| *per != LimitPer::File)
}
