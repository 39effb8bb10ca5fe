//! With workers on threads, in real time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use async_io::Timer;
use futures_util::FutureExt;
use pollster::block_on;

use super::*;
use crate::compute::{
    Compute,
    simulated::{
        Inside,
        inside::{Stop, Working},
    },
};

fn rules() -> Rules {
    Rules { stop_grace: SECOND / 5, shortest_timeout: Duration::ZERO, ..Rules::default() }
}

fn batch(run: impl Fn(Container, Stop) -> Working + Send + Sync + 'static) -> Inside {
    Inside::new(rules(), run).unwrap()
}

fn submit(batch: &Inside, spec: &JobSpec) -> JobId {
    block_on(batch.submit(spec)).unwrap()
}

fn terminate(batch: &Inside, id: &JobId) {
    block_on(batch.terminate(std::slice::from_ref(id), "enough")).unwrap();
}

fn end(batch: &Inside, id: &JobId) -> Job {
    let begun = Instant::now();
    loop {
        let job = block_on(batch.describe(std::slice::from_ref(id))).unwrap().remove(0);
        if job.state.is_terminal() {
            return job;
        }
        assert!(begun.elapsed() < 20 * SECOND, "{job:?}");
        std::thread::sleep(SECOND / 500);
    }
}

/// Waits until so many workers run.
fn up(batch: &Inside, id: &JobId, count: usize) {
    while block_on(batch.children(id, JobState::Running)).unwrap().len() < count {
        std::thread::sleep(SECOND / 500);
    }
}

fn failed(batch: &Inside, id: &JobId) -> Child {
    block_on(batch.children(id, JobState::Failed)).unwrap().remove(0)
}

/// Counts its drops.
struct Guard(Arc<AtomicU32>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn workers_run_to_their_exit_codes() {
    let batch = batch(|container, _| Box::pin(async move { container.id.index as i32 }));
    let id = submit(&batch, &spec(3));
    let job = end(&batch, &id);
    assert_eq!(job.workers, [(JobState::Succeeded, 1), (JobState::Failed, 2)]);
    assert_eq!(failed(&batch, &id).exit_code, Some(1));
}

#[test]
fn a_worker_that_panics_fails_alone() {
    let batch = batch(|container, _| match container.id.index {
        0 => panic!("at once"),
        1 => Box::pin(async { panic!("later") }),
        _ => Box::pin(async { 0 }),
    });
    let id = submit(&batch, &spec(3));
    assert_eq!(end(&batch, &id).workers, [(JobState::Succeeded, 1), (JobState::Failed, 2)]);
    assert_eq!(failed(&batch, &id).exit_code, Some(101));
}

#[test]
fn a_worker_is_told_to_stop() {
    let batch = batch(|_, stop| {
        Box::pin(async move {
            stop.told().await;
            stop.told().await;
            7
        })
    });
    let id = submit(&batch, &spec(1));
    up(&batch, &id, 1);
    terminate(&batch, &id);
    assert_eq!((end(&batch, &id).reason.as_str(), failed(&batch, &id).exit_code), ("enough", Some(7)));
}

#[test]
fn a_worker_that_does_not_listen_is_dropped_after_the_grace() {
    let drops = Arc::new(AtomicU32::new(0));
    let guards = Arc::clone(&drops);
    let batch = batch(move |_, _| {
        let guard = Guard(Arc::clone(&guards));
        Box::pin(async move {
            Timer::after(1000 * SECOND).await;
            drop(guard);
            0
        })
    });
    let id = submit(&batch, &JobSpec { attempt_timeout: SECOND / 10, ..spec(2) });
    let begun = Instant::now();
    assert_eq!(end(&batch, &id).workers, [(JobState::Failed, 2)]);
    assert!((3 * SECOND / 10..20 * SECOND).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    let child = failed(&batch, &id);
    assert_eq!((child.exit_code, &*child.reason), (Some(137), "Job attempt duration exceeded timeout"));
    assert_eq!(drops.load(Ordering::SeqCst), 2);
}

#[test]
fn reclaimed_and_lost_workers_are_tried_again() {
    let rules = Rules { spot_kill_rate: 0.4, host_loss_rate: 0.4, killed_within: SECOND / 50, ..rules() };
    let batch = Inside::new(rules, move |_, stop| {
        Box::pin(async move {
            let stopped = stop.told();
            let done = Timer::after(SECOND / 10);
            futures_util::future::select(std::pin::pin!(stopped), done).await;
            if stop.told().now_or_never().is_some() { 75 } else { 0 }
        })
    });
    let batch = batch.unwrap();
    let id = submit(&batch, &JobSpec { attempts: 10, ..spec(50) });
    assert_eq!(end(&batch, &id).workers, [(JobState::Succeeded, 50)]);
    let children = block_on(batch.children(&id, JobState::Succeeded)).unwrap();
    let attempts: u32 = children.iter().map(|child| child.attempts).sum();
    assert!(attempts > 75, "{attempts}");
}

#[test]
fn everything_ends_with_the_batch() {
    let held = Arc::new(());
    let hold = Arc::clone(&held);
    let batch = batch(move |_, _| {
        let hold = Arc::clone(&hold);
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(hold);
            0
        })
    });
    let id = submit(&batch, &spec(5));
    up(&batch, &id, 5);
    drop(batch);
    let begun = Instant::now();
    while Arc::strong_count(&held) > 1 {
        assert!(begun.elapsed() < 20 * SECOND);
        std::thread::sleep(SECOND / 500);
    }
}
