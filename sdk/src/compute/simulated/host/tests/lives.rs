//! Workers and hosts that live and end as they should.

use std::{
    os::unix::fs::MetadataExt,
    process::{Command, Stdio},
    sync::Arc,
};

use super::{
    super::{folder::Folder, hub::Hub},
    *,
};

#[test]
fn a_worker_has_its_containers_variables_and_its_output_is_kept() {
    let scene = Scene::new();
    let client = scene.client(r#"env; echo "to stderr" >&2; exit $AWS_BATCH_JOB_ARRAY_INDEX"#);
    let id = submit(&client, &spec(2));
    assert_eq!(end(&client, &id).state, JobState::Failed);
    assert_eq!(children(&client, &id, JobState::Succeeded)[0].index, 0);
    assert_eq!(children(&client, &id, JobState::Failed)[0].exit_code, Some(1));
    let log = fs::read_to_string(scene.path().join(format!("logs/{}-1-1.log", id.0))).unwrap();
    let has = |line: &str| log.lines().any(|of| of == line);
    assert!(
        has(&format!("AWS_BATCH_JOB_ID={}:1", id.0)) && has("CLOUD_RUN=here") && has("to stderr"),
        "{log}"
    );
    assert!(log.contains("\nCLOUD_WORKER=") && log.contains("PATH="), "{log}");
    // Nothing else of the client's, nor of the host's.
    assert!(!log.contains("CARGO") && !log.contains("CLOUD_BATCH_HOST"), "{log}");
}

#[test]
fn a_signal_that_ends_a_worker_is_its_exit_code() {
    let scene = Scene::new();
    let client = scene.client("kill -SEGV $$");
    let id = submit(&client, &spec(1));
    end(&client, &id);
    assert_eq!(children(&client, &id, JobState::Failed)[0].exit_code, Some(139));
}

#[test]
fn a_worker_that_asks_for_it_is_started_again() {
    let scene = Scene::new();
    let client = scene.client("[ $AWS_BATCH_JOB_ATTEMPT = 3 ] || exit 75");
    let id = submit(&client, &JobSpec { attempts: 3, ..spec(4) });
    assert_eq!(end(&client, &id).workers, [(JobState::Succeeded, 4)]);
    assert!(children(&client, &id, JobState::Succeeded).iter().all(|child| child.attempts == 3));
}

#[test]
fn a_program_that_cannot_be_started_says_why() {
    let scene = Scene::new();
    let program = Program::at(scene.path().join("nothing"));
    let client = Hosted::new(scene.path(), scene.rules.clone(), program).unwrap();
    let error = block_on(client.submit(&spec(1))).unwrap_err();
    assert_eq!(error.kind, ComputeErrorKind::Refused);
    assert!(error.reason.contains("No such file"), "{error}");

    let program = Program::at(scene.path().into());
    let client = Hosted::new(scene.path(), scene.rules.clone(), program).unwrap();
    let id = submit(&client, &JobSpec { attempts: 2, ..spec(1) });
    assert_eq!(end(&client, &id).reason, "Task failed to start");
    let child = children(&client, &id, JobState::Failed).remove(0);
    assert_eq!((child.attempts, child.exit_code), (2, None));
    assert!(child.container_reason.starts_with("CannotStartContainerError: "), "{child:?}");
}

#[test]
fn a_program_is_the_one_that_was_there_at_the_submit() {
    let scene = Scene::new();
    let program = scene.path().join("program");
    fs::copy("/bin/sh", &program).unwrap();
    let mut program = Program::at(program);
    program.arguments = vec!["-c".into(), "[ $AWS_BATCH_JOB_ATTEMPT = 2 ] || { sleep 0.2; exit 75; }".into()];
    let client = Hosted::new(scene.path(), scene.rules.clone(), program.clone()).unwrap();
    let id = submit(&client, &JobSpec { attempts: 2, ..spec(1) });
    fs::remove_file(&program.path).unwrap();
    fs::write(&program.path, "something else").unwrap();
    assert_eq!(end(&client, &id).state, JobState::Succeeded);
}

#[test]
fn a_clients_own_program_is_the_file_that_it_runs() {
    let file = |path: &Path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).unwrap();
    assert_eq!(file(&Program::own().path), file(&std::env::current_exe().unwrap()));
}

#[test]
fn workers_outlive_the_client_that_submitted_them() {
    const SCENE: &str = "CLOUD_TEST_SCENE";
    const NAME: &str =
        "compute::simulated::host::tests::lives::workers_outlive_the_client_that_submitted_them";
    if let Some(folder) = std::env::var_os(SCENE) {
        let mut program = Program::at("/bin/sh".into());
        program.arguments = vec!["-c".into(), "until [ -e $HERE/go ]; do sleep 0.01; done".into()];
        program.environment.push(("HERE".into(), folder.clone()));
        let client = Hosted::new(Path::new(&folder), Rules::default(), program).unwrap();
        submit(&client, &spec(1));
        return;
    }
    let scene = Scene::new();
    let mut client = Command::new(std::env::current_exe().unwrap());
    client.args([NAME, "--exact"]).env(SCENE, scene.path()).stdout(Stdio::null());
    assert!(client.status().unwrap().success());
    let after = scene.client("");
    let found = block_on(after.find("run-r1")).unwrap();
    assert!(found.len() == 1 && !found[0].state.is_terminal());
    fs::write(scene.path().join("go"), "").unwrap();
    assert_eq!(end(&after, &found[0].id).state, JobState::Succeeded);
}

#[test]
fn clients_that_race_to_start_a_host_get_the_same_one() {
    let scene = Scene::new();
    let script = "echo $CLOUD_WORKER > $HERE/$AWS_BATCH_JOB_ID.part; mv $HERE/$AWS_BATCH_JOB_ID.part $HERE/$AWS_BATCH_JOB_ID";
    let ids: Vec<JobId> = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..8).map(|_| scope.spawn(|| submit(&scene.client(script), &spec(1)))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let hosts: Vec<Process> = ids.iter().map(|id| scene.process(&id.0)).collect();
    assert!(hosts.iter().all(|host| *host == hosts[0]), "{hosts:?}");
    assert_eq!(block_on(scene.client("").find("run-r1")).unwrap().len(), 8);
}

#[test]
fn two_hundred_workers_are_no_burden() {
    let scene = Scene::new();
    let client = scene.client("true");
    let begun = Instant::now();
    let id = submit(&client, &spec(200));
    let submitted = begun.elapsed();
    assert_eq!(end(&client, &id).workers, [(JobState::Succeeded, 200)]);
    println!("200 workers: submitted after {submitted:?}, ended after {:?}", begun.elapsed());
}

#[test]
fn a_host_ends_by_itself_and_the_next_one_knows_its_jobs() {
    let scene = Scene::new();
    let client = scene.client("echo $CLOUD_WORKER > $HERE/host; echo $$ > $HERE/worker; sleep 2.5");
    let id = submit(&client, &spec(1));
    let (host, worker) = (scene.process("host"), scene.process("worker"));
    // As long as a job lives, though nobody calls.
    sleep(Duration::from_millis(1300));
    assert!(!host.is_gone() && !worker.is_gone());
    assert!(worker.ends() && host.ends());
    let shown = job(&client, &id);
    assert_eq!((shown.state, &*shown.name), (JobState::Succeeded, "run-r1"));
    assert_eq!(children(&client, &id, JobState::Succeeded)[0].exit_code, Some(0));
}

#[test]
fn a_host_that_answers_does_not_end_and_one_that_ends_answers_no_more() {
    let scene = Scene::new();
    let folder = Folder::new(scene.path()).unwrap();
    folder.create().unwrap();
    let lock = folder.lock().unwrap().unwrap();
    let hub = Arc::new(Hub::open(folder).unwrap());
    let call = hub.enter().unwrap();
    std::thread::scope(|scope| {
        let driving = scope.spawn(|| hub.drive(&lock));
        sleep(Duration::from_millis(1500));
        assert!(!driving.is_finished());
        drop(call);
        driving.join().unwrap();
    });
    assert!(hub.enter().is_none());
}

#[test]
fn a_folder_with_a_long_name_will_do() {
    let outer = tempfile::tempdir().unwrap();
    let long = outer.path().join("x".repeat(200));
    fs::create_dir(&long).unwrap();
    let mut scene = Scene::new();
    scene.folder = tempfile::tempdir_in(long).unwrap();
    let client = scene.client("true");
    let id = submit(&client, &spec(1));
    assert_eq!(end(&client, &id).state, JobState::Succeeded);
}

#[test]
fn workers_start_and_end_at_once() {
    let scene = Scene::new();
    let client = scene.client(
        "date +%s%N > $HERE/$AWS_BATCH_JOB_ID.part; mv $HERE/$AWS_BATCH_JOB_ID.part $HERE/$AWS_BATCH_JOB_ID",
    );
    let begun = Instant::now();
    assert_eq!(block_on(client.find("nobody")).unwrap(), []);
    println!("a host is up after {:?}", begun.elapsed());
    let mut times: Vec<[Duration; 4]> = (0..20)
        .map(|_| {
            let wall = std::time::SystemTime::now();
            let begun = Instant::now();
            let id = submit(&client, &spec(1));
            let submitted = begun.elapsed();
            end(&client, &id);
            let ended = begun.elapsed();
            let nanos = Duration::from_nanos(scene.note(&id.0).parse().unwrap());
            let started = nanos.saturating_sub(wall.duration_since(std::time::UNIX_EPOCH).unwrap());
            let begun = Instant::now();
            job(&client, &id);
            [submitted, started, ended, begun.elapsed()]
        })
        .collect();
    for (at, what) in ["submit", "submit to first line of the shell's `date`", "to seen ended", "describe"]
        .into_iter()
        .enumerate()
    {
        times.sort_by_key(|time| time[at]);
        println!("{what}: median {:?}, worst {:?}", times[10][at], times[19][at]);
    }
}
