//! The tokio runtimes that user code finds: in a slot, on the `inline` backend, in an async `main`.

use std::{future::Future, io, sync::OnceLock};

use tokio::runtime::{Builder, EnterGuard, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Makes `tokio::spawn`, timers and sockets work on this thread until the guard is dropped.
///
/// One worker thread: it drives timers and sockets while the user's function holds the thread it was called on.
pub(crate) fn enter_runtime() -> io::Result<EnterGuard<'static>> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.enter());
    }
    let built =
        Builder::new_multi_thread().worker_threads(1).thread_name("cloud-user").enable_all().build()?;
    // Another thread may have been faster; its runtime is then the one and ours ends unused.
    Ok(RUNTIME.get_or_init(|| built).enter())
}

/// Runs the future of an async `main`, on tokio's multi-threaded runtime.
#[doc(hidden)]
pub fn block_on_main<F: Future>(future: F) -> F::Output {
    match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("no tokio runtime can be started for `main`: {error}"),
    }
}

/// Runs a user's future on the calling thread. Not tokio's `block_on`, which refuses inside a runtime, and the
/// `inline` backend may well be inside one.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    pollster::block_on(future)
}
