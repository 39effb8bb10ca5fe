//! What this process is: the user's own program, or one that the library has started.

use std::path::Path;

use crate::{
    compute::simulated::serve_batch,
    names::{BATCH_HOST_VAR, SLOT_VAR, WORKER_VAR},
    runner::serve_worker,
    worker::{be_client, serve_slot},
};

/// Must be the first line of `main`, or use [`#[cloud::main]`](macro@crate::main).
///
/// Slots are started by running this same program again, and so are workers and the simulated Batch of the `mock` backend. In
/// such a process this function does their work and never returns; in any other it notes that they may be started, and
/// returns at once.
///
/// Tests, doctests and benches have no `main` to put it in: the crate's feature `test` runs it before `main`.
pub fn init() {
    init_with(|| {});
}

/// Like [`init`], and runs `setup` in each slot before its first chunk: for loggers, thread pools, licences.
///
/// It runs on the thread that later calls the function, inside the slot's tokio runtime, and no time limit applies to it.
/// If it panics or exits, so does the slot, and the run ends with what it printed.
pub fn init_with(setup: impl FnOnce()) {
    // A slot first: it has its worker's variables too.
    if let Ok(ticket) = std::env::var(SLOT_VAR) {
        serve_slot(&ticket, setup);
    }
    if let Some(folder) = std::env::var_os(BATCH_HOST_VAR) {
        serve_batch(Path::new(&folder));
    }
    if let Ok(host) = std::env::var(WORKER_VAR) {
        serve_worker(&host);
    }
    be_client();
}

/// What the test hook does: the same, in a process that is not ours.
#[cfg(feature = "test")]
pub(crate) fn init_before_main() {
    init();
}
