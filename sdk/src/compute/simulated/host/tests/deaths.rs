//! Told to stop, killed, or left alone.

use std::{io::Read, os::unix::net::UnixListener};

use super::*;

#[test]
fn a_terminated_worker_is_told_first() {
    let scene = Scene::new();
    let client = scene.client(
        "trap 'echo told > $HERE/told; exit 9' TERM; echo $$ > $HERE/up; while :; do sleep 0.01; done",
    );
    let id = submit(&client, &spec(1));
    scene.process("up");
    block_on(client.terminate(std::slice::from_ref(&id), "enough")).unwrap();
    let shown = end(&client, &id);
    assert_eq!((shown.state, &*shown.reason), (JobState::Failed, "enough"));
    assert_eq!(children(&client, &id, JobState::Failed)[0].exit_code, Some(9));
    assert_eq!(scene.note("told"), "told");
}

#[test]
fn a_worker_that_does_not_listen_is_killed_with_all_its_children() {
    let scene = Scene::new();
    let client = scene.client("trap '' TERM; sleep 100 & echo $! > $HERE/child; echo $$ > $HERE/up; wait");
    let id = submit(&client, &spec(1));
    let processes = [scene.process("up"), scene.process("child")];
    let begun = Instant::now();
    block_on(client.terminate(std::slice::from_ref(&id), "enough")).unwrap();
    end(&client, &id);
    let grace = begun.elapsed();
    assert!((scene.rules.stop_grace..SOON).contains(&grace), "{grace:?}");
    assert!(processes.into_iter().all(Process::ends));
    assert_eq!(children(&client, &id, JobState::Failed)[0].exit_code, Some(137));
}

#[test]
fn what_a_worker_leaves_behind_ends_with_it() {
    let scene = Scene::new();
    let client = scene.client("sleep 100 & echo $! > $HERE/child");
    let id = submit(&client, &spec(1));
    let begun = Instant::now();
    assert_eq!(end(&client, &id).state, JobState::Succeeded);
    // Though its child held the pipe open.
    assert!(begun.elapsed() < SOON / 2);
    assert!(scene.process("child").ends());
}

#[test]
fn a_worker_over_its_time_is_stopped() {
    let scene = Scene::new();
    let client = scene.client("exec sleep 100");
    let id =
        submit(&client, &JobSpec { attempt_timeout: Duration::from_millis(100), attempts: 3, ..spec(1) });
    assert_eq!(end(&client, &id).reason, "Job attempt duration exceeded timeout");
    let child = children(&client, &id, JobState::Failed).remove(0);
    assert_eq!((child.attempts, child.exit_code), (1, Some(143)));
}

#[test]
fn reclaimed_and_lost_workers_are_killed_and_tried_again() {
    let mut scene = Scene::new();
    scene.rules = Rules {
        seed: 3,
        spot_kill_rate: 0.5,
        host_loss_rate: 0.3,
        killed_within: Duration::from_millis(50),
        ..scene.rules.clone()
    };
    let client = scene.client("sleep 0.3");
    let id = submit(&client, &JobSpec { attempts: 10, ..spec(20) });
    assert_eq!(end(&client, &id).workers, [(JobState::Succeeded, 20)]);
    let attempts: u32 = children(&client, &id, JobState::Succeeded).iter().map(|child| child.attempts).sum();
    assert!(attempts > 30, "{attempts}");
}

/// Workers that watch their host, as real ones do.
const WATCHING: &str = "echo $CLOUD_WORKER > $HERE/host; echo $$ > $HERE/worker-$AWS_BATCH_JOB_ARRAY_INDEX
    while kill -0 $CLOUD_WORKER; do sleep 0.01; done";

#[test]
fn a_host_that_is_killed_leaves_failed_jobs_to_the_next() {
    let scene = Scene::new();
    let client = scene.client(WATCHING);
    let done = submit(&scene.client("exit 0"), &spec(1));
    end(&client, &done);
    let id = submit(&client, &JobSpec { attempts: 5, ..spec(2) });
    let workers = [scene.process("worker-0"), scene.process("worker-1")];
    let first = scene.process("host");
    first.kill();
    let shown = end(&client, &id);
    assert_eq!(shown.state, JobState::Failed);
    assert!(shown.reason.starts_with("Host EC2 (instance i-0"), "{}", shown.reason);
    let failed = children(&client, &id, JobState::Failed);
    assert!(failed.iter().all(|child| child.exit_code.is_none() && child.reason.starts_with("Host EC2")));
    assert_eq!(job(&client, &done).state, JobState::Succeeded);
    assert!(workers.into_iter().all(Process::ends));
    // Life goes on.
    let id = submit(&scene.client("exit 0"), &spec(3));
    assert_eq!(end(&client, &id).state, JobState::Succeeded);
}

#[test]
fn calls_while_a_host_is_killed_again_and_again_are_answered_or_unknown() {
    let scene = Scene::new();
    let client = scene.client("echo $CLOUD_WORKER > $HERE/$AWS_BATCH_JOB_ID.part; mv $HERE/$AWS_BATCH_JOB_ID.part $HERE/$AWS_BATCH_JOB_ID");
    let (mut known, mut unknown) = (Vec::new(), 0);
    for round in 0..5 {
        let id = submit(&client, &spec(1));
        let host = scene.process(&id.0);
        known.push(id);
        std::thread::scope(|scope| {
            let calls =
                scope.spawn(|| (0..40).map(|_| block_on(client.submit(&spec(1)))).collect::<Vec<_>>());
            sleep(Duration::from_millis(3 * round));
            host.kill();
            for result in calls.join().unwrap() {
                match result {
                    Ok(id) => known.push(id),
                    Err(error) => {
                        assert_eq!(error.kind, ComputeErrorKind::Unknown, "{error}");
                        unknown += 1;
                    }
                }
            }
        });
    }
    let found: Vec<JobId> = block_on(client.find("run-r1")).unwrap().into_iter().map(|job| job.id).collect();
    assert!(known.iter().all(|id| found.contains(id)), "a job that was answered is not known any more");
    assert!(found.len() <= known.len() + unknown);
    println!("{} known, {unknown} unknown", known.len());
}

#[test]
fn a_submit_whose_answer_is_lost_is_unknown_and_other_calls_are_asked_again() {
    let scene = Scene::new();
    let client = scene.client("true");
    let socket = scene.path().join("batch/socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let dying = std::thread::spawn(move || {
        for expected in [r#"{"Submit""#, r#"{"Find""#] {
            let (mut stream, _) = listener.accept().unwrap();
            super::super::talk::say_bytes(&stream, super::super::talk::GREETING).unwrap();
            let mut request = String::new();
            stream.read_to_string(&mut request).unwrap();
            assert!(request.starts_with(expected), "{request}");
        }
    });
    let error = block_on(client.submit(&spec(1))).unwrap_err();
    assert_eq!((error.kind, &*error.call), (ComputeErrorKind::Unknown, "SubmitJob"));
    // The second connection dies too; then a real host answers.
    assert_eq!(block_on(client.find("run-r1")).unwrap(), []);
    dying.join().unwrap();
}

#[test]
fn all_ends_when_the_folder_is_removed() {
    let scene = Scene::new();
    let client = scene.client("echo $CLOUD_WORKER > $HERE/host; echo $$ > $HERE/worker; exec sleep 100");
    submit(&client, &spec(1));
    let processes = [scene.process("host"), scene.process("worker")];
    fs::remove_dir_all(scene.path()).unwrap();
    assert!(processes.into_iter().all(Process::ends));
}
