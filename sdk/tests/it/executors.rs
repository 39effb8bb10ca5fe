//! Any executor will do, and none.

use std::{cell::Cell, thread::sleep, time::Duration};

use futures::StreamExt;

fn slow_double(x: u32) -> u32 {
    sleep(Duration::from_millis(2));
    x * 2
}

fn expected() -> Vec<u32> {
    (0..40).map(|x| x * 2).collect()
}

/// Everything that waits, on whatever polls it.
async fn all_forms() {
    assert_eq!(cloud::map(slow_double, 0..40).await.unwrap(), expected());
    assert_eq!(cloud::map(slow_double, 0..40).outcomes().await.unwrap().len(), 40);
    assert_eq!(cloud::map(slow_double, 0..40).stream().collect::<Vec<_>>().await.len(), 40);
    assert_eq!(cloud::map(slow_double, futures::stream::iter(0..40)).await.unwrap(), expected());
    assert_eq!(cloud::call(slow_double, 4).await.unwrap(), 8);
    // A timer of ours must fire here too.
    let failed =
        cloud::map(|_: u32| sleep(Duration::from_secs(50)), [0]).timeout(Duration::from_millis(100)).await;
    assert!(failed.unwrap_err().to_string().contains("timeout"));
    // Blocking is not nice here, but must work.
    assert_eq!(cloud::map(slow_double, 0..40).wait().unwrap(), expected());
}

async fn two_at_once() {
    let (double, triple) = futures::join!(
        cloud::map(slow_double, 0..40).slots(2).into_future(),
        cloud::map(|x: u32| x * 3, 0..4000).slots(2).into_future(),
    );
    assert_eq!(double.unwrap(), expected());
    assert_eq!(triple.unwrap(), (0..4000).map(|x| x * 3).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_with_threads() {
    all_forms().await;
    two_at_once().await;
}

#[tokio::test(flavor = "current_thread")]
async fn tokio_on_one_thread() {
    all_forms().await;
    two_at_once().await;
}

#[test]
fn smol() {
    smol::block_on(all_forms());
    smol::block_on(two_at_once());
}

#[test]
fn the_executor_of_futures() {
    futures::executor::block_on(all_forms());
    futures::executor::block_on(two_at_once());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maps_can_be_spawned() {
    let spawned = [cloud::Backend::Local, cloud::Backend::Inline, cloud::Backend::Local].map(|backend| {
        tokio::spawn(async move {
            let mut values = cloud::map_with(vec![2], |by, x: u32| x * by[0], 0..40).on(backend).stream();
            let mut sum = 0;
            while let Some(value) = values.next().await {
                sum += value.unwrap().unwrap().1;
                // Perhaps to another thread.
                tokio::task::yield_now().await;
            }
            sum
        })
    });
    for sum in spawned {
        assert_eq!(sum.await.unwrap(), expected().iter().sum::<u32>());
    }
    let elsewhere = smol::spawn(cloud::map(slow_double, 0..40).into_future());
    assert_eq!(elsewhere.await.unwrap(), expected());
}

#[test]
fn several_threads_at_once() {
    std::thread::scope(|scope| {
        for factor in 1..=4u32 {
            scope.spawn(move || {
                let inputs = (0..2000).map(|x| (x, factor));
                let values =
                    cloud::map(|(x, factor): (u32, u32)| x * factor, inputs).slots(2).wait().unwrap();
                assert_eq!(values, (0..2000).map(|x| x * factor).collect::<Vec<_>>());
            });
        }
    });
}

#[test]
fn other_tasks_of_the_executor_have_their_turns() {
    let turns = Cell::new(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ticks = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let map = cloud::map(|x: u64| x, 0..300_000u64).into_future();
        tokio::select! {
            values = map => assert_eq!(values.unwrap().len(), 300_000),
            () = ticks => {}
        }
    });
    // One poll of the map takes half a millisecond of results at most, so there were hundreds.
    assert!(turns.get() > 20, "{} turns", turns.get());
}

#[test]
fn a_run_may_move_to_another_executor_half_way() {
    let mut values = cloud::map(slow_double, 0..40).stream();
    let mut seen = Vec::new();
    seen.extend(smol::block_on(values.next()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    seen.extend(runtime.block_on(values.next()));
    seen.extend(futures::executor::block_on(values.collect::<Vec<_>>()));
    assert_eq!(
        seen.into_iter().map(|value| value.unwrap().unwrap().1).sum::<u32>(),
        expected().iter().sum::<u32>()
    );
}
