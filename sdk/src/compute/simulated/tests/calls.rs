//! What clients are shown, and for how long.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn jobs_are_found_by_their_exact_name_oldest_first() {
    let mut world = World::new(Rules::default());
    let named = |name: &str| JobSpec { name: name.to_string(), ..spec(1) };
    let first = world.submit(&named("run-r1"));
    world.now += SECOND;
    world.submit(&named("run-r10"));
    let second = world.submit(&named("run-r1"));
    assert_ne!(first, second);
    let found = world.batch.find(world.now, "run-r1").unwrap();
    assert_eq!(
        found.into_iter().map(|job| (job.id, job.created)).collect::<Vec<_>>(),
        [(first, 1_000_000), (second, 1_001_000)]
    );
    assert_eq!(world.batch.find(world.now, "run").unwrap(), []);
}

#[test]
fn a_job_that_is_not_known_is_left_out() {
    let mut world = World::new(Rules::default());
    let (plain, array) = (world.submit(&spec(1)), world.submit(&spec(2)));
    let unknown = |id: &str| JobId(id.to_string());
    let ids = [
        unknown("nobody"),
        array.clone(),
        unknown(&format!("{}:2", array.0)),
        unknown(&format!("{}:0", plain.0)),
        unknown(&format!("{}:x", array.0)),
        unknown(&format!("{}:1", array.0)),
    ];
    let described = world.batch.describe(world.now, &ids).unwrap();
    assert_eq!(described.into_iter().map(|job| job.id).collect::<Vec<_>>(), [array, ids[5].clone()]);
    world.batch.terminate(world.now, &ids[..1], "why").unwrap();
    assert_eq!(kind(world.batch.children(world.now, &ids[0], JobState::Failed)), ComputeErrorKind::Refused);
}

#[test]
fn terminal_jobs_are_remembered_for_seven_days() {
    let mut world = World::new(Rules::default());
    let (job, living) = (world.submit(&spec(1)), world.submit(&spec(1)));
    let id = world.start()[0];
    world.end(id, Ended::Exited(0));
    assert!(world.batch.is_busy());
    world.now += 7 * DAY - SECOND;
    assert_eq!(world.state(&job), JobState::Succeeded);
    world.batch.take_changed().for_each(drop);
    world.now += SECOND;
    assert_eq!(world.batch.describe(world.now, &[job]).unwrap(), []);
    assert_eq!(world.state(&living), JobState::Running);
    assert_eq!(
        world.batch.take_changed().map(|(number, known)| (number, known.is_some())).collect::<Vec<_>>(),
        [(0, false)]
    );
    // Its number is not given to another.
    world.submit(&spec(1));
    assert_eq!(world.batch.take_changed().map(|(number, _)| number).collect::<Vec<_>>(), [2]);
}

#[test]
fn summaries_lag_behind_but_the_state_does_not() {
    let mut world = World::new(Rules { summary_lag: 10 * SECOND, ..Rules::default() });
    let job = world.submit(&spec(2));
    world.pass(SECOND);
    assert_eq!(world.job(&job).workers, [(JobState::Submitted, 2)]);
    world.pass(8 * SECOND);
    let ids = [0, 1].map(|index| ContainerId { job: 0, index, attempt: 1 });
    world.batch.started(world.now, ids[0]);
    assert_eq!(world.job(&job).workers, [(JobState::Submitted, 2)]);
    // The counting of the tenth second is shown until the twentieth, though much has happened since.
    world.pass(3 * SECOND);
    ids.iter().for_each(|id| world.end(*id, Ended::Exited(0)));
    let shown = world.job(&job);
    assert_eq!(shown.state, JobState::Succeeded);
    assert_eq!(shown.workers, [(JobState::Starting, 1), (JobState::Running, 1)]);
    world.pass(8 * SECOND);
    assert_eq!(world.job(&job).workers, [(JobState::Succeeded, 2)]);
}

#[test]
fn a_batch_that_is_restored_knows_its_jobs_and_has_lost_its_hosts() {
    let mut world = World::new(Rules { capacity: Some(3000), ..Rules::default() });
    let (done, array, plain) = (world.submit(&spec(1)), world.submit(&spec(3)), world.submit(&spec(1)));
    let ids = world.start();
    world.end(ids[0], Ended::Exited(0));
    world.end(ids[1], Ended::Exited(3));
    let written: Vec<String> = world
        .batch
        .take_changed()
        .map(|(_, record)| serde_json::to_string(record.unwrap()).unwrap())
        .collect();
    let records = written.iter().map(|record| serde_json::from_str(record).unwrap());
    world.batch = Batch::restore(2, world.now + SECOND, records);
    assert!(!world.batch.is_busy());
    assert_eq!(world.to_start(), []);
    assert_eq!(world.state(&done), JobState::Succeeded);
    for job in [&array, &plain] {
        let shown = world.job(job);
        assert_eq!(shown.state, JobState::Failed);
        assert!(shown.reason.starts_with("Host EC2 (instance i-0"), "{}", shown.reason);
    }
    let failed = world.batch.children(world.now, &array, JobState::Failed).unwrap();
    assert_eq!(
        failed
            .iter()
            .map(|child| (child.exit_code, child.reason.starts_with("Host EC2")))
            .collect::<Vec<_>>(),
        [(Some(3), false), (None, true), (None, true)]
    );
    // Those that failed by it are to be written again.
    assert_eq!(world.batch.take_changed().count(), 3);
    let next = world.submit(&spec(1));
    assert!(![done, array, plain].contains(&next));
    assert_eq!(world.start()[0].job, 3);
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let mut world = World::new(Rules::default());
    let job = world.submit(&spec(1));
    let id = world.start()[0];
    world.batch.ended(world.now - 500 * SECOND, id, Ended::Exited(75));
    let actions = world.batch.advance(world.now - 500 * SECOND);
    assert_eq!(actions.len(), 1);
    assert_eq!(world.state(&job), JobState::Starting);
}
