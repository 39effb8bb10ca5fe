//! What Batch refuses, at once or later.

use super::*;

#[test]
fn a_job_that_batch_does_not_take_is_refused() {
    let long = |length: usize| vec![("LONG".to_string(), "x".repeat(length))];
    let named = |name: &str| JobSpec { name: name.to_string(), ..spec(1) };
    let variable = |name: &str| JobSpec { environment: vec![(name.to_string(), String::new())], ..spec(1) };
    let minute = 60 * SECOND;
    let cases = [
        ("a name", named("run_1-r1"), true),
        ("no name", named(""), false),
        ("the longest name", named(&"n".repeat(128)), true),
        ("too long a name", named(&"n".repeat(129)), false),
        ("a bad letter", named("run.1"), false),
        ("a bad beginning", named("-run"), false),
        ("no workers", spec(0), false),
        ("most workers", spec(10_000), true),
        ("too many workers", spec(10_001), false),
        ("no attempts", JobSpec { attempts: 0, ..spec(1) }, false),
        ("most attempts", JobSpec { attempts: 10, ..spec(1) }, true),
        ("too many attempts", JobSpec { attempts: 11, ..spec(1) }, false),
        ("a minute", JobSpec { attempt_timeout: minute, ..spec(1) }, true),
        ("less than a minute", JobSpec { attempt_timeout: minute - SECOND, ..spec(1) }, false),
        ("no processor", JobSpec { milli_vcpus: 0, ..spec(1) }, false),
        ("no memory", JobSpec { memory: 0, ..spec(1) }, false),
        ("a variable of Batch's", variable("AWS_BATCH_JOB_ID"), false),
        ("a variable with no name", variable(""), false),
        ("much to say", JobSpec { environment: long(29 << 10), ..spec(1) }, true),
        ("too much to say", JobSpec { environment: long(30 << 10), ..spec(1) }, false),
    ];
    for (case, spec, taken) in cases {
        let mut world = World::new(Rules::default());
        let result = world.batch.submit(world.now, &spec, Rules::default());
        assert_eq!(result.is_ok(), taken, "{case}: {result:?}");
        if !taken {
            assert_eq!(kind(result), ComputeErrorKind::Refused);
            assert_eq!(world.batch.find(world.now, &spec.name).unwrap(), []);
        }
    }
}

#[test]
fn tests_may_have_shorter_timeouts() {
    let mut world = World::new(Rules { shortest_timeout: Duration::ZERO, ..Rules::default() });
    world.submit(&JobSpec { attempt_timeout: Duration::from_millis(1), ..spec(1) });
}

#[test]
fn fargate_has_sizes_of_its_own() {
    let cases = [
        (250, 512, true),
        (250, 1536, false),
        (500, 4096, true),
        (1000, 1024, false),
        (1000, 2048, true),
        (1000, 2500, false),
        (2000, 16_384, true),
        (4000, 30_720, true),
        (4000, 31_744, false),
        (8000, 20_480, true),
        (8000, 21_504, false),
        (16_000, 40_960, true),
        (32_000, 122_880, true),
        (32_000, 124_928, false),
        (3000, 8192, false),
    ];
    for (milli_vcpus, memory, has) in cases {
        let spec = JobSpec { milli_vcpus, memory, ..spec(1) };
        let rules = Rules { fargate: true, ..Rules::default() };
        assert_eq!(Batch::new(0).submit(SECOND, &spec, rules).is_ok(), has, "{milli_vcpus} {memory}");
        assert!(Batch::new(0).submit(SECOND, &spec, Rules::default()).is_ok());
    }
}

#[test]
fn overrides_that_are_too_long_fail_the_job_when_it_should_start() {
    for (length, fits) in [(7500, true), (8192, false)] {
        let mut world = World::new(Rules::default());
        let environment = vec![("LONG".to_string(), "x".repeat(length))];
        let job = world.submit(&JobSpec { environment, ..spec(2) });
        assert_eq!(world.to_start().len(), if fits { 2 } else { 0 });
        if !fits {
            let failed = world.batch.children(world.now, &job, JobState::Failed).unwrap();
            assert_eq!(failed.len(), 2);
            assert_eq!(failed[0].reason, "Container Overrides length must be at most 8192");
            assert_eq!((failed[0].attempts, failed[0].exit_code), (0, None));
            assert_eq!(world.state(&job), JobState::Failed);
        }
    }
}

#[test]
fn calls_take_so_many_jobs_and_no_more() {
    let mut world = World::new(Rules::default());
    let job = world.submit(&spec(1));
    let now = world.now;
    let ids = |count| vec![job.clone(); count];
    assert_eq!(world.batch.describe(now, &ids(100)).unwrap().len(), 100);
    assert_eq!(kind(world.batch.describe(now, &ids(101))), ComputeErrorKind::Refused);
    assert_eq!(kind(world.batch.terminate(now, &ids(51), "why")), ComputeErrorKind::Refused);
    assert_eq!(kind(world.batch.terminate(now, &ids(1), &"y".repeat(1025))), ComputeErrorKind::Refused);
    assert_eq!(world.state(&job), JobState::Submitted);
    world.batch.terminate(now, &ids(50), &"y".repeat(1024)).unwrap();
    assert_eq!(world.state(&job), JobState::Failed);
}

#[test]
fn calls_over_the_rate_are_throttled_and_do_nothing() {
    let mut world = World::new(Rules { throttle: Some(4), ..Rules::default() });
    let (now, rules) = (world.now, world.rules.clone());
    let job = world.submit(&spec(1));
    for _ in 0..3 {
        world.batch.find(now, "run-r1").unwrap();
    }
    assert_eq!(kind(world.batch.find(now, "run-r1")), ComputeErrorKind::Throttled);
    let error = world.batch.submit(now, &spec(1), rules).unwrap_err();
    assert_eq!(error.to_string(), "SubmitJob: TooManyRequestsException: Too Many Requests");
    assert_eq!(
        kind(world.batch.terminate(now, std::slice::from_ref(&job), "why")),
        ComputeErrorKind::Throttled
    );
    assert_eq!(kind(world.batch.describe(now, &[])), ComputeErrorKind::Throttled);
    assert_eq!(kind(world.batch.children(now, &job, JobState::Running)), ComputeErrorKind::Throttled);
    // A quarter of a second later there is one call more, and only one.
    let now = now + SECOND / 4;
    assert_eq!(world.batch.find(now, "run-r1").unwrap().len(), 1);
    assert_eq!(kind(world.batch.find(now, "run-r1")), ComputeErrorKind::Throttled);
    assert_eq!(world.batch.find(now + 100 * SECOND, "run-r1").unwrap().len(), 1);
}
