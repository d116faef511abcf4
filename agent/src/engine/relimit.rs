//! Limits applied while running: each input's files get new limiters, full of a burst, and waiting files are looked at.

use std::{
    mem,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use logmill_config::agent::{AgentConfig, Limit, LimitPer};

use super::{Engine, InputState};
use crate::{clock::Now, limit::Limiter, produce::Producer};

/// Hands the latest configuration to the reading thread, which takes its limits and nothing else.
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
    /// Applies the limits that were handed over, if any, to the inputs that have the same names.
    pub(super) fn relimit(&mut self, now: Now) {
        let Some(config) = self.around.relimit.take() else { return };
        for at in 0..self.inputs.len() {
            let input = &mut self.inputs[at];
            let Some(new) = config.inputs.iter().find(|new| new.name == input.config.name) else { continue };
            if new.limits == input.config.limits {
                continue;
            }
            input.config.limits.clone_from(&new.limits);
            input.shared_limits = limiters(&new.limits, LimitPer::Input).collect();
            tracing::info!(input = new.name, limits = new.limits.len(), "limits applied");
            let slots: Vec<usize> = self.slots.iter().filter(|(_, t)| t.input == at).map(|(slot, _)| slot).collect();
            for slot in slots {
                let limiters = self.inputs[at].limiters();
                if let Some(tracked) = self.slots.get_mut(slot) {
                    tracked.limiters = limiters;
                }
                self.wake(slot);
            }
            for original in self.replaced.values_mut().filter(|original| original.input == at) {
                original.limiters = self.inputs[at].limiters();
            }
        }
        self.next_look = now.mono;
    }
}

impl InputState {
    /// Those of one file: its own, and those it shares with the input's other files.
    pub(super) fn limiters(&self) -> Rc<[Rc<Limiter>]> {
        limiters(&self.config.limits, LimitPer::File).chain(self.shared_limits.iter().map(Rc::clone)).collect()
    }
}

pub(super) fn limiters(limits: &[Limit], per: LimitPer) -> impl Iterator<Item = Rc<Limiter>> {
    limits.iter().filter(move |limit| limit.per == per).map(|limit| Rc::new(Limiter::new(limit)))
}
