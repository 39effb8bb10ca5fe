//! From SUBMITTED to an end, and again.

use super::*;

#[test]
fn a_single_worker_is_a_plain_job() {
    let mut world = World::new(Rules::default());
    let job = world.submit(&spec(1));
    assert_eq!(world.state(&job), JobState::Submitted);
    let containers = world.to_start();
    assert_eq!(world.state(&job), JobState::Starting);
    assert_eq!(
        containers[0].environment,
        [
            ("CLOUD_RUN", "here"),
            ("AWS_BATCH_JOB_ID", &job.0),
            ("AWS_BATCH_JOB_ATTEMPT", "1"),
            ("AWS_BATCH_JQ_NAME", "cloud"),
            ("AWS_BATCH_CE_NAME", "simulated"),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
    );
    world.batch.started(world.now, containers[0].id);
    assert_eq!(world.state(&job), JobState::Running);
    assert_eq!(world.child(&job, JobState::Running).exit_code, None);
    world.end(containers[0].id, Ended::Exited(0));
    let shown = world.job(&job);
    assert_eq!((shown.state, &*shown.reason), (JobState::Succeeded, "Essential container in task exited"));
    assert_eq!(shown.workers, [(JobState::Succeeded, 1)]);
    let child = world.child(&job, JobState::Succeeded);
    assert_eq!((child.index, child.attempts, child.exit_code), (0, 1, Some(0)));
}

#[test]
fn an_arrays_parent_is_pending_until_the_last_of_its_children_ends() {
    let mut world = World::new(Rules::default());
    let job = world.submit(&spec(3));
    assert_eq!(world.state(&job), JobState::Submitted);
    let containers = world.to_start();
    assert_eq!(world.job(&job).workers, [(JobState::Starting, 3)]);
    for (index, container) in containers.iter().enumerate() {
        let value = |name: &str| container.environment.iter().find(|(n, _)| n == name).unwrap().1.clone();
        assert_eq!(value("AWS_BATCH_JOB_ID"), format!("{}:{index}", job.0));
        assert_eq!(value("AWS_BATCH_JOB_ARRAY_INDEX"), index.to_string());
        assert_eq!(value("AWS_BATCH_JOB_ARRAY_SIZE"), "3");
        world.batch.started(world.now, container.id);
    }
    for container in &containers {
        assert_eq!(world.state(&job), JobState::Pending);
        world.end(container.id, Ended::Exited(0));
    }
    assert_eq!(
        (world.state(&job), world.job(&job).workers),
        (JobState::Succeeded, vec![(JobState::Succeeded, 3)])
    );
}

#[test]
fn one_failed_child_fails_the_parent_but_only_at_the_end() {
    let mut world = World::new(Rules::default());
    let job = world.submit(&spec(2));
    let ids = world.start();
    world.end(ids[0], Ended::Exited(1));
    assert_eq!(world.state(&job), JobState::Pending);
    world.end(ids[1], Ended::Exited(0));
    let shown = world.job(&job);
    assert_eq!((shown.state, &*shown.reason), (JobState::Failed, "Array Child Job failed"));
    assert_eq!(shown.workers, [(JobState::Succeeded, 1), (JobState::Failed, 1)]);
}

#[test]
fn an_attempt_is_followed_by_another_only_if_it_was_lost_by_no_fault_of_its_own() {
    let lost_host =
        |reason: &str| reason.starts_with("Host EC2 (instance i-") && reason.ends_with(") terminated.");
    let exited = |reason: &str| reason == "Essential container in task exited";
    let not_started = |reason: &str| reason == "Task failed to start";
    let pull = "CannotPullContainerError: no such image";
    let out_of_memory = "OutOfMemoryError: Container killed due to memory usage";
    type Says = fn(&str) -> bool;
    let cases: [(Ended, bool, Option<i32>, Says, &str); 8] = [
        (Ended::HostLost, true, None, lost_host, ""),
        (Ended::NotStarted(pull.to_string()), true, None, not_started, pull),
        (Ended::Exited(75), true, Some(75), exited, ""),
        (Ended::Exited(1), false, Some(1), exited, ""),
        (Ended::Exited(7), false, Some(7), exited, ""),
        (Ended::Exited(137), false, Some(137), exited, ""),
        (Ended::Exited(143), false, Some(143), exited, ""),
        (Ended::OutOfMemory, false, Some(137), exited, out_of_memory),
    ];
    for (ended, retried, exit_code, says, container_reason) in cases {
        let mut world = World::new(Rules::default());
        let job = world.submit(&spec(1));
        for attempt in 1..=if retried { 3 } else { 1 } {
            let ids = world.start();
            assert_eq!(ids.iter().map(|id| id.attempt).collect::<Vec<_>>(), [attempt], "{ended:?}");
            world.end(ids[0], ended.clone());
        }
        assert_eq!(world.to_start(), []);
        let child = world.child(&job, JobState::Failed);
        assert_eq!((child.attempts, child.exit_code), (if retried { 3 } else { 1 }, exit_code), "{ended:?}");
        assert!(says(&child.reason), "{ended:?}: {}", child.reason);
        assert_eq!(child.container_reason, container_reason);
    }
}

#[test]
fn a_worker_that_is_tried_again_goes_before_all_that_wait() {
    let mut world = World::new(Rules { capacity: Some(2000), ..Rules::default() });
    let job = world.submit(&spec(4));
    let ids = world.start();
    world.end(ids[1], Ended::Exited(75));
    let waiting = world.batch.children(world.now, &job, JobState::Runnable).unwrap();
    assert_eq!(
        waiting.iter().map(|child| (child.index, child.attempts)).collect::<Vec<_>>(),
        [(1, 1), (2, 0), (3, 0)]
    );
    let next = world.start();
    assert_eq!(next.iter().map(|id| (id.index, id.attempt)).collect::<Vec<_>>(), [(1, 2)]);
    // What became of the first attempt is not said of the second.
    assert_eq!(world.batch.children(world.now, &job, JobState::Running).unwrap()[1].exit_code, None);
}

#[test]
fn workers_wait_for_capacity_in_their_order() {
    let mut world = World::new(Rules { capacity: Some(2500), ..Rules::default() });
    let (first, second) = (world.submit(&spec(3)), world.submit(&JobSpec { milli_vcpus: 250, ..spec(1) }));
    let ids = world.start();
    assert_eq!(ids.iter().map(|id| (id.job, id.index)).collect::<Vec<_>>(), [(0, 0), (0, 1)]);
    // The second job's would fit, but is not the first in the queue.
    assert_eq!(
        (world.to_start(), world.batch.next_event().is_some_and(|time| time > world.now)),
        (vec![], true)
    );
    assert_eq!(world.state(&second), JobState::Runnable);
    world.terminate(&JobId(format!("{}:2", first.0)));
    assert_eq!(world.batch.next_event(), Some(world.now));
    assert_eq!(world.start().iter().map(|id| id.job).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_worker_larger_than_the_whole_environment_waits_for_ever_and_says_why() {
    let mut world = World::new(Rules { capacity: Some(500), ..Rules::default() });
    let job = world.submit(&spec(1));
    assert_eq!(world.pass(1000 * SECOND), []);
    assert!(
        world
            .child(&job, JobState::Runnable)
            .reason
            .starts_with("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE")
    );
    assert_eq!(world.batch.next_event(), None);
}

#[test]
fn a_start_takes_its_delay() {
    let delay = 2 * SECOND..=4 * SECOND;
    let mut world = World::new(Rules { start_delay: delay, ..Rules::default() });
    world.submit(&spec(100));
    assert_eq!(world.to_start(), []);
    let mut starts = Vec::new();
    while let Some(next) = world.batch.next_event() {
        starts
            .extend(world.batch.advance(next).into_iter().map(|action| (next - world.now, started(action))));
    }
    assert_eq!(starts.len(), 100);
    let times = || starts.iter().map(|(time, _)| *time);
    assert!(times().is_sorted() && times().min() >= Some(2 * SECOND) && times().max() <= Some(4 * SECOND));
    assert!(times().max().unwrap() - times().min().unwrap() > SECOND);
}

#[test]
fn a_share_of_the_workers_may_never_start_and_holds_up_no_others() {
    let rules = Rules { never_start: 0.25, capacity: Some(100_000), ..Rules::default() };
    let mut world = World::new(rules);
    let job = world.submit(&spec(400));
    let mut ended = 0;
    while let Some(id) = world.start().first().copied() {
        // The others are up too; only what they end with matters here.
        let up = world.batch.children(world.now, &job, JobState::Running).unwrap();
        for child in up {
            world.end(ContainerId { index: child.index, ..id }, Ended::Exited(0));
            ended += 1;
        }
    }
    assert!((250..350).contains(&ended), "{ended}");
    let waiting = world.batch.children(world.now, &job, JobState::Runnable).unwrap();
    assert_eq!(waiting.len(), 400 - ended);
    assert!(waiting[0].reason.starts_with("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"));
    assert_eq!((world.state(&job), world.batch.next_event()), (JobState::Pending, None));
}

#[test]
fn ten_thousand_workers_are_no_burden() {
    let begun = std::time::Instant::now();
    let mut world = World::new(Rules { capacity: Some(100_000), ..Rules::default() });
    let job = world.submit(&spec(10_000));
    let mut ended = 0;
    loop {
        let ids = world.start();
        if ids.is_empty() {
            break;
        }
        for id in ids {
            assert!(world.batch.next_event().is_some());
            world.end(id, Ended::Exited(if id.index % 100 == 0 && id.attempt == 1 { 75 } else { 0 }));
            ended += 1;
        }
    }
    assert_eq!((ended, world.state(&job)), (10_100, JobState::Succeeded));
    assert!(begun.elapsed() < 2 * SECOND, "{:?}", begun.elapsed());
}
