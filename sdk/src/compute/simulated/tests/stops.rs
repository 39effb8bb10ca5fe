//! Told to stop: by a client, the time limit, Spot, or not told at all.

use super::*;

/// Ends by itself when told to, with this code; `None`: it must be killed.
fn stopped(world: &mut World, id: ContainerId, exits_with: Option<i32>) {
    let grace = world.rules.stop_grace;
    assert_eq!(world.pass(Duration::ZERO), [Action::Signal(id)]);
    match exits_with {
        Some(code) => world.end(id, Ended::Exited(code)),
        None => {
            assert_eq!(world.batch.next_event(), Some(world.now + grace));
            assert_eq!(world.pass(grace - Duration::from_nanos(1)), []);
            assert_eq!(world.pass(Duration::from_nanos(1)), [Action::Kill(id)]);
            assert_eq!(world.pass(1000 * SECOND), []);
            world.end(id, Ended::Exited(137));
        }
    }
}

#[test]
fn a_client_that_terminates_a_worker_ends_it_for_good_whatever_it_exits_with() {
    for code in [Some(0), Some(1), Some(75), None] {
        let mut world = World::new(Rules::default());
        let job = world.submit(&spec(1));
        let id = world.start()[0];
        world.terminate(&job);
        // A second time changes nothing.
        world.batch.terminate(world.now, std::slice::from_ref(&job), "once more").unwrap();
        stopped(&mut world, id, code);
        assert_eq!(world.starting(), []);
        let child = world.child(&job, JobState::Failed);
        assert_eq!((&*child.reason, child.exit_code), ("not needed any more", code.or(Some(137))));
    }
}

#[test]
fn terminating_a_parent_takes_all_children_and_those_not_started_never_start() {
    let rules = Rules { capacity: Some(2000), start_delay: SECOND..=SECOND, ..Rules::default() };
    let mut world = World::new(rules);
    let job = world.submit(&spec(4));
    world.pass(Duration::ZERO);
    let first = world.pass(SECOND).into_iter().map(started).map(|container| container.id).collect::<Vec<_>>();
    first.iter().for_each(|id| world.batch.started(world.now, *id));
    world.end(first[0], Ended::Exited(0));
    // One is done, one is up, one is starting, one waits.
    world.pass(Duration::ZERO);
    assert_eq!(world.job(&job).workers.len(), 4);
    world.terminate(&job);
    assert_eq!(world.state(&job), JobState::Pending);
    stopped(&mut world, first[1], Some(75));
    let shown = world.job(&job);
    assert_eq!((shown.state, &*shown.reason), (JobState::Failed, "not needed any more"));
    assert_eq!(shown.workers, [(JobState::Succeeded, 1), (JobState::Failed, 3)]);
    let failed = world.batch.children(world.now, &job, JobState::Failed).unwrap();
    assert_eq!(failed.iter().map(|child| child.attempts).collect::<Vec<_>>(), [1, 0, 0]);
    assert_eq!((world.pass(1000 * SECOND), world.batch.next_event()), (vec![], None));
}

#[test]
fn a_job_terminated_before_it_was_looked_at_never_starts() {
    let mut world = World::new(Rules::default());
    for workers in [1, 5] {
        let job = world.submit(&spec(workers));
        world.terminate(&job);
        assert_eq!((world.state(&job), world.starting()), (JobState::Failed, vec![]));
    }
}

#[test]
fn a_container_that_is_not_up_yet_is_told_to_stop_all_the_same() {
    let mut world = World::new(Rules::default());
    let job = world.submit(&spec(1));
    let id = world.starting()[0].id;
    world.terminate(&job);
    assert_eq!(world.pass(Duration::ZERO), [Action::Signal(id)]);
    world.batch.started(world.now, id);
    world.end(id, Ended::Exited(143));
    assert_eq!(world.child(&job, JobState::Failed).reason, "not needed any more");
}

#[test]
fn a_container_that_has_just_ended_is_told_nothing() {
    let mut world = World::new(Rules::default());
    let job = world.submit(&spec(1));
    let id = world.start()[0];
    world.terminate(&job);
    world.end(id, Ended::Exited(0));
    assert_eq!((world.state(&job), world.pass(100 * SECOND)), (JobState::Failed, vec![]));
}

#[test]
fn one_worker_of_an_array_can_be_terminated_alone() {
    let mut world = World::new(Rules::default());
    let job = world.submit(&spec(2));
    let ids = world.start();
    let second = JobId(format!("{}:1", job.0));
    world.terminate(&second);
    stopped(&mut world, ids[1], Some(1));
    assert_eq!((world.state(&second), world.state(&job)), (JobState::Failed, JobState::Pending));
    world.end(ids[0], Ended::Exited(0));
    assert_eq!(world.job(&job).reason, "Array Child Job failed");
}

#[test]
fn an_attempt_over_its_time_is_stopped_and_never_tried_again() {
    for code in [Some(0), Some(75), None] {
        let mut world = World::new(Rules::default());
        let job = world.submit(&spec(1));
        let container = world.starting()[0].id;
        // The limit counts from the moment that it is up.
        assert_eq!(world.pass(50 * SECOND), []);
        world.batch.started(world.now, container);
        assert_eq!(world.batch.next_event(), Some(world.now + 60 * SECOND));
        world.now += 60 * SECOND;
        stopped(&mut world, container, code);
        assert_eq!(world.starting(), []);
        assert_eq!(world.child(&job, JobState::Failed).reason, "Job attempt duration exceeded timeout");
    }
}

#[test]
fn each_attempt_has_its_own_time() {
    let mut world = World::new(Rules::default());
    world.submit(&spec(1));
    for _ in 0..2 {
        let id = world.start()[0];
        assert_eq!(world.pass(59 * SECOND), []);
        world.end(id, Ended::Exited(75));
    }
    world.start();
    assert_eq!(world.batch.next_event(), Some(world.now + 60 * SECOND));
}

#[test]
fn a_reclaimed_worker_is_told_and_tried_again_unless_it_succeeds_in_time() {
    for (code, state) in [
        (Some(0), JobState::Succeeded),
        (Some(1), JobState::Runnable),
        (Some(75), JobState::Runnable),
        (None, JobState::Runnable),
    ] {
        let mut world = World::new(Rules { spot_kill_rate: 1.0, ..Rules::default() });
        let job = world.submit(&spec(1));
        let id = world.start()[0];
        let reclaimed = world.batch.next_event().unwrap();
        assert!(reclaimed < world.now + world.rules.killed_within);
        world.now = reclaimed;
        stopped(&mut world, id, code);
        let shown = world.job(&job);
        assert_eq!((shown.state, &*shown.reason), (state, "Your Spot Task was interrupted."), "{code:?}");
    }
}

#[test]
fn a_reclaimed_worker_that_a_client_terminates_is_not_tried_again() {
    let mut world = World::new(Rules { spot_kill_rate: 1.0, ..Rules::default() });
    let job = world.submit(&spec(1));
    let id = world.start()[0];
    world.now = world.batch.next_event().unwrap();
    assert_eq!(world.pass(Duration::ZERO), [Action::Signal(id)]);
    world.terminate(&job);
    assert_eq!(world.pass(world.rules.stop_grace), [Action::Kill(id)]);
    world.end(id, Ended::Exited(137));
    assert_eq!(world.child(&job, JobState::Failed).reason, "not needed any more");
}

#[test]
fn a_lost_host_gives_no_hint_and_leaves_no_exit_code() {
    let mut world = World::new(Rules { host_loss_rate: 1.0, ..Rules::default() });
    let job = world.submit(&JobSpec { attempts: 2, ..spec(1) });
    for state in [JobState::Runnable, JobState::Failed] {
        let id = world.start()[0];
        world.now = world.batch.next_event().unwrap();
        assert_eq!(world.pass(Duration::ZERO), [Action::Kill(id)]);
        world.end(id, Ended::Exited(137));
        let child = world.child(&job, state);
        assert!(child.reason.starts_with("Host EC2 (instance i-0"), "{}", child.reason);
        assert_eq!(child.exit_code, None);
    }
}

#[test]
fn as_many_are_killed_as_the_rates_say_and_the_same_ones_every_time() {
    let rules = Rules { seed: 7, spot_kill_rate: 0.2, host_loss_rate: 0.1, ..Rules::default() };
    let victims = |seed| {
        let mut world = World::new(Rules { seed, ..rules.clone() });
        world.submit(&JobSpec { attempt_timeout: 1000 * SECOND, ..spec(1000) });
        world.start();
        let told = world.pass(60 * SECOND);
        let signals = told.iter().filter(|action| matches!(action, Action::Signal(_))).count();
        (signals, told.len() - signals, told)
    };
    let (signals, kills, told) = victims(7);
    assert!((150..250).contains(&signals), "{signals}");
    assert!((60..130).contains(&kills), "{kills}");
    assert_eq!(told, victims(7).2);
    assert_ne!(told, victims(8).2);
}

#[test]
fn every_attempt_has_a_fate_of_its_own() {
    let mut world = World::new(Rules { spot_kill_rate: 0.5, ..Rules::default() });
    world.submit(&JobSpec { attempts: 10, attempt_timeout: 1000 * SECOND, ..spec(200) });
    let mut left = 200;
    for _ in 0..10 {
        let ids = world.start();
        assert_eq!(ids.len(), left);
        left = 0;
        for action in world.pass(60 * SECOND) {
            if let Action::Signal(id) = action {
                world.end(id, Ended::Exited(75));
                left += 1;
            }
        }
    }
    assert!(left < 5, "{left}");
}

#[test]
fn a_container_that_nobody_asked_for_or_that_is_gone_has_no_effect() {
    let mut world = World::new(Rules { start_delay: SECOND..=SECOND, ..Rules::default() });
    let job = world.submit(&spec(1));
    world.pass(Duration::ZERO);
    let id = ContainerId { job: 0, index: 0, attempt: 1 };
    let act = |world: &mut World| {
        world.batch.started(world.now, id);
        world.end(id, Ended::Exited(0));
    };
    act(&mut world);
    assert_eq!(world.state(&job), JobState::Starting);
    world.pass(SECOND);
    act(&mut world);
    assert_eq!(world.state(&job), JobState::Succeeded);
    world.end(id, Ended::Exited(1));
    assert_eq!(world.state(&job), JobState::Succeeded);
}
