//! mimalloc as the allocator of the processes that gain from it: those with an index, agent and sinks. C code's memory is its, too.
//!
//! Writers of an index make and drop large arenas, and come and go with their threads: glibc would keep the memory of each thread in
//! an arena of its own, and mimalloc as it comes keeps freed memory for ten seconds, in huge pages. In agent and sinks, one thread
//! makes the messages of librdkafka and another one frees them, which costs glibc locks and merging. The broker moves few and
//! large buffers: it has glibc's.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3, milliseconds; arenas wait ten times as long.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// How long freed memory is kept for what comes next.
#[derive(Clone, Copy, Debug)]
pub enum Keep {
    /// About a second: for what is large and comes seldom.
    Briefly,
    /// About ten seconds: buffers that come and go many times a second would be made of new pages each time, which costs
    /// the sinks a seventh of their CPU.
    Longer,
}

/// To be called first in `main`.
pub fn keep(keep: Keep) {
    let delay = match keep {
        Keep::Briefly => 100,
        Keep::Longer => 1000,
    };
    // SAFETY: changes one integer of the allocator; no other thread is running yet.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, delay) };
}
