//! What is said of a map holds in slots that another process has started, and nothing else gets there.

use std::collections::BTreeSet;

use cloud::{Event, Summary};

use crate::{
    place::{Place, double, doubles, nap, processes},
    support::{Recorder, Rerun},
};

#[test]
fn variables_reach_the_slots() {
    let place = Place::new();
    let f = |name: String| std::env::var(name).ok();
    let names = ["FIRST", "SECOND", "THIRD"].map(String::from);
    let map = cloud::map(f, names.clone()).on(place.mock()).env("FIRST", "one").env("SECOND", "with = and ,");
    assert_eq!(map.wait().unwrap(), [Some("one".into()), Some("with = and ,".into()), None]);
    // And no later map's.
    assert_eq!(cloud::map(f, names).on(place.mock()).wait().unwrap(), [None, None, None]);
}

/// What a container has on AWS: these, and what Batch says of the job.
const MEANT: [&str; 9] =
    ["HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "RUST_BACKTRACE", "TMPDIR", "TZ", "USER"];

#[test]
fn no_other_variable_of_the_client_reaches_a_slot() {
    let Some(rerun) = Rerun::of(no_other_variable_of_the_client_reaches_a_slot) else {
        let place = Place::new();
        let f = |(): ()| std::env::vars_os().map(|(name, _)| name.into_string().unwrap()).collect::<Vec<_>>();
        let seen = cloud::map(f, [(); 3]).on(place.mock()).env("ASKED_FOR", "1").wait().unwrap();
        for name in seen.into_iter().flatten() {
            let meant = MEANT.contains(&name.as_str())
                || name == "ASKED_FOR"
                || name.starts_with("AWS_BATCH_JOB_")
                || name.starts_with("AWS_BATCH_C")
                || name == "AWS_BATCH_JQ_NAME";
            assert!(meant, "`{name}` reaches a slot");
        }
        return;
    };
    let secrets = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "DATABASE_PASSWORD",
        "CLOUD_MOCK_FOLDER",
        "LD_PRELOAD",
    ];
    let rerun = secrets
        .into_iter()
        .fold(rerun, |rerun, name| rerun.env(name, if name == "LD_PRELOAD" { "" } else { "secret" }));
    rerun.output();
}

#[test]
fn a_fresh_process_for_every_chunk() {
    let place = Place::new();
    let map = cloud::map(|_: u32| processes(), 0..20).on(place.mock()).slots(2).chunks_per_slot(1);
    let seen = map.wait().unwrap();
    let slots: BTreeSet<_> = seen.iter().map(|(slot, _)| slot).collect();
    let workers: BTreeSet<_> = seen.iter().map(|(_, worker)| worker).collect();
    assert_eq!(slots.len(), 20);
    assert!((1..=2).contains(&workers.len()), "{workers:?}");
}

#[test]
fn slots_are_the_most_that_work_at_a_time() {
    let place = Place::new();
    let f = |_: u32| {
        nap(5);
        processes()
    };
    for slots in [1, 3] {
        let recorder = Recorder::default();
        let map = cloud::map(f, 0..60).on(place.mock()).slots(slots).reporter(recorder.clone());
        let seen: BTreeSet<_> = map.wait().unwrap().into_iter().collect();
        assert_eq!(seen.len(), slots);
        assert!(!seen.iter().any(|(slot, worker)| [*slot, *worker].contains(&std::process::id())));
        assert_eq!(recorder.only("started")[0]["slots"], slots);
    }
}

#[test]
fn a_label_is_told_and_stored() {
    let place = Place::new();
    let (send, receive) = std::sync::mpsc::channel();
    let reporter = move |event: &Event<'_>| {
        if let Event::Finished { summary } = event {
            let Summary { label, .. } = (*summary).clone();
            send.send(label).unwrap();
        }
    };
    let map = cloud::map(double, 0..9).on(place.mock()).label("doubles").reporter(reporter);
    smol::block_on(async {
        let run = map.start().await.unwrap();
        assert_eq!(run.status().await.unwrap().label, "doubles");
        assert_eq!(run.results().await.unwrap(), doubles(9));
        let unlabelled = cloud::map(double, 0..9).on(place.mock()).start().await.unwrap();
        assert!(unlabelled.status().await.unwrap().label.contains("double"));
        unlabelled.detach();
    });
    assert_eq!(receive.recv().unwrap(), "doubles");
}
