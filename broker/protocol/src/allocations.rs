//! Counts the bytes each thread asks the allocator for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static GLOBAL: Counting = Counting;

fn count(bytes: usize) {
    // A thread that is ending has no counter any more; nobody asks for it then.
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get().saturating_add(bytes)));
}

// SAFETY: every call goes to `System` unchanged; the counter is a plain thread-local cell that never allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `System` with this layout.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        // SAFETY: `ptr` came from `System` with this layout.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

/// Bytes asked for on this thread while `run` ran, freed or not.
pub(crate) fn allocated_by<T>(run: impl FnOnce() -> T) -> usize {
    let before = ALLOCATED.with(Cell::get);
    let result = run();
    let after = ALLOCATED.with(Cell::get);
    drop(result);
    after - before
}

#[test]
fn allocations_are_counted() {
    assert!(allocated_by(|| Vec::<u8>::with_capacity(12_345)) >= 12_345);
    assert_eq!(allocated_by(|| 1 + 1), 0);
}
