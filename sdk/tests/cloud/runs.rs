//! Runs that are started: what they are called, where they are, what they give.

use std::fs;

use cloud::{Error, FailureKind, RunState};
use futures::TryStreamExt;
use smol::block_on;

use crate::{
    place::{Place, double, doubles, nap},
    support::Notes,
};

#[test]
fn a_started_run_gives_results_outcomes_or_a_stream() {
    let place = Place::new();
    block_on(async {
        let start = async || cloud::map(double, 0..50).on(place.mock()).slots(1).start().await.unwrap();
        assert_eq!(start().await.results().await.unwrap(), doubles(50));
        let outcomes = start().await.outcomes().await.unwrap();
        assert!(outcomes.into_iter().map(Result::unwrap).eq(doubles(50)));
        let values = start().await.stream().ordered().map_ok(Result::unwrap);
        let values: Vec<_> = values.try_collect().await.unwrap();
        assert!(values.into_iter().eq((0..50).map(|x| (x as usize, double(x)))));
    });
}

#[test]
fn where_a_run_is_from_start_to_end() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u32| {
        notes.add("begun");
        while x > 0 && notes.count("go") == 0 {
            nap(2);
        }
        x
    };
    block_on(async {
        let map = cloud::map_with(notes.clone(), f, 0..30).on(place.mock()).slots(2).label("held");
        let run = map.start().await.unwrap();
        while notes.count("begun") < 2 {
            smol::Timer::after(std::time::Duration::from_millis(2)).await;
        }
        let status = run.status().await.unwrap();
        assert_eq!((status.id, status.label.as_str(), status.chunks), (run.id(), "held", 30));
        assert_eq!(status.state, RunState::Running, "{status:?}");
        assert!(status.blocks > 1 && status.blocks_done < status.blocks, "{status:?}");
        assert_eq!(status.workers.iter().map(|(_, workers)| workers).sum::<u32>(), 2, "{status:?}");
        let id = run.id();
        notes.add("go");
        assert_eq!(run.results().await.unwrap(), (0..30).collect::<Vec<_>>());
        let status = place.status::<u32>(id).await;
        assert_eq!((status.state, status.blocks_done), (RunState::Complete, status.blocks));
    });
}

#[test]
fn a_run_whose_chunks_fail_is_complete() {
    let place = Place::new();
    let f = |x: u32| if x == 7 { panic!("seven") } else { x };
    block_on(async {
        let run = cloud::map(f, 0..10).on(place.mock()).start().await.unwrap();
        let id = run.id();
        let Err(Error::Failed(failures)) = run.results().await else { panic!("it passed") };
        assert_eq!((failures.len(), failures[0].chunk), (1, 7));
        assert_eq!(place.status::<u32>(id).await.state, RunState::Complete);
        // What was seen once can be seen again.
        let again = place.attach::<u32>(id).await.unwrap().outcomes().await.unwrap();
        assert_eq!(again[7].as_ref().unwrap_err().message, "seven");
        assert_eq!(again.into_iter().filter(Result::is_ok).count(), 9);
    });
}

#[test]
fn runs_are_listed_in_the_order_of_their_starts() {
    let place = Place::new();
    block_on(async {
        assert_eq!(cloud::runs_on(place.mock()).await.unwrap(), []);
        let mut started = Vec::new();
        for chunks in [1, 0, 5] {
            let run = cloud::map(double, 0..chunks).on(place.mock()).slots(1).start().await.unwrap();
            started.push(run.detach());
            assert_eq!(cloud::runs_on(place.mock()).await.unwrap(), started);
            nap(2);
        }
    });
}

#[test]
fn what_outlives_no_program_cannot_be_started() {
    for backend in [cloud::Backend::Local, cloud::Backend::Inline] {
        let name = backend.name();
        let error = block_on(cloud::map(double, 0..3).on(backend.clone()).start()).unwrap_err();
        assert_eq!(error.to_string(), format!("`.start(..)` has no meaning on the `{name}` backend"));
        let error = block_on(cloud::runs_on(backend.clone())).unwrap_err();
        assert!(matches!(error, Error::Unsupported { option: "runs", .. }), "{error}");
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_lowercase().parse().unwrap();
        let error = block_on(cloud::Run::<u32>::attach_on(backend, id)).unwrap_err();
        assert!(matches!(error, Error::Unsupported { option: "attach", .. }), "{error}");
    }
}

/// The stored run without its submission, in a place of its own: as if its client had been killed before.
fn prepared(from: &Place, id: cloud::RunId) -> Place {
    let to = Place::new();
    let copy = |folder: &str, wanted: &dyn Fn(&str) -> bool| {
        fs::create_dir_all(to.path().join(folder)).unwrap();
        for file in fs::read_dir(from.path().join(folder)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            if wanted(&name) {
                fs::copy(from.path().join(folder).join(&name), to.path().join(folder).join(&name)).unwrap();
            }
        }
    };
    copy(&format!("runs/{id}"), &|name| name == "manifest=" || name == "shared=");
    copy(&format!("runs/{id}/in"), &|_| true);
    copy("programs", &|_| true);
    to
}

#[test]
fn a_run_that_was_never_submitted_waits_for_that() {
    let place = Place::new();
    block_on(async {
        let start = async || cloud::map_with(3, |by: &u32, x| x * by, 0..20).on(place.mock()).start().await;
        let id = start().await.unwrap().detach();
        let other = prepared(&place, id);
        let mut run = other.attach::<u32>(id).await.unwrap();
        assert_eq!(run.status().await.unwrap().state, RunState::Prepared);
        let unsubmitted = other.attach::<u32>(id).await.unwrap().results().await;
        assert!(matches!(unsubmitted, Err(Error::Prepared { run }) if run == id), "{unsubmitted:?}");
        assert_eq!(other.attach::<u32>(id).await.unwrap().detach(), id);
        run.submit();
        assert_eq!(run.results().await.unwrap(), (0..20).map(|x| x * 3).collect::<Vec<_>>());
        assert_eq!(other.status::<u32>(id).await.state, RunState::Complete);

        // Whoever only looks at a run, or ends it, need not know what it gives.
        let id = start().await.unwrap().detach();
        let other = prepared(&place, id);
        assert_eq!(cloud::status_on(other.mock(), id).await.unwrap().state, RunState::Prepared);
        assert_eq!(cloud::cancel_on(other.mock(), id).await.unwrap().state, RunState::Cancelled);

        let id = start().await.unwrap().detach();
        let other = prepared(&place, id);
        let run = other.attach::<u32>(id).await.unwrap();
        assert_eq!(run.cancel().await.unwrap().state, RunState::Cancelled);
        let outcomes = other.attach::<u32>(id).await.unwrap().outcomes().await.unwrap();
        assert_eq!(outcomes.len(), 20);
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err().kind == FailureKind::Cancelled));
    });
}
