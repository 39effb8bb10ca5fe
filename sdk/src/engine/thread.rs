//! The thread on which clients talk to store and compute, whatever executor the user has, if any.

use std::{future::Future, pin::Pin, sync::OnceLock, thread};

use tokio::{
    sync::{mpsc, oneshot},
    task::LocalSet,
};

use crate::error::{Error, Result};

type Task = Pin<Box<dyn Future<Output = ()>>>;
type Job = Box<dyn FnOnce() -> Task + Send>;

/// Starts a task there. It is made there too, so it needs no `Send`.
///
/// # Errors
/// When there can be no such thread.
pub(crate) fn spawn<F>(make: impl FnOnce() -> F + Send + 'static) -> Result<()>
where
    F: Future<Output = ()> + 'static,
{
    static THREAD: OnceLock<std::result::Result<mpsc::UnboundedSender<Job>, String>> = OnceLock::new();
    let jobs = THREAD.get_or_init(|| start().map_err(|error| error.to_string()));
    let failed = |reason: String| Error::Following { reason: format!("the thread for it: {reason}") };
    let jobs = jobs.as_ref().map_err(|reason| failed(reason.clone()))?;
    jobs.send(Box::new(|| Box::pin(make()))).map_err(|_| failed("it has ended".into()))
}

/// Awaits there what `make` makes, since stores and computes may need that thread's runtime.
///
/// # Errors
/// Those of the task, and when there can be no such thread.
pub(crate) async fn on_engine_thread<T, F>(make: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + 'static,
{
    let (answer, answered) = oneshot::channel();
    spawn(move || async move {
        let result = make().await;
        // Whoever asked may be gone.
        let _ = answer.send(result);
    })?;
    answered.await.unwrap_or_else(|_| Err(Error::Following { reason: "the thread for it has ended".into() }))
}

fn start() -> std::io::Result<mpsc::UnboundedSender<Job>> {
    let (to, mut jobs) = mpsc::unbounded_channel::<Job>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("cloud-engine".into()).spawn(move || {
        let local = LocalSet::new();
        local.block_on(&runtime, async {
            while let Some(job) = jobs.recv().await {
                tokio::task::spawn_local(job());
            }
        });
    })?;
    Ok(to)
}
