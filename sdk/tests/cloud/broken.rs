//! What is stored is damaged or gone: said by name, never computed on.

use std::{fs, path::Path, time::Duration};

use cloud::{Error, FailureKind, RunId, RunState};
use smol::block_on;

use crate::place::{Place, double, nap};

/// A run whose workers start late enough to find what is done to its files before.
async fn late(place: &Place) -> cloud::Run<u32> {
    let mock = place.mock().start_delay(Duration::from_millis(800));
    cloud::map(double, 0..50).on(mock).slots(2).start().await.unwrap()
}

fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}

fn the_part(place: &Place, id: RunId) -> std::path::PathBuf {
    let parts = fs::read_dir(place.path().join(format!("runs/{id}/in"))).unwrap();
    parts.map(|part| part.unwrap().path()).next().unwrap()
}

#[test]
fn damaged_or_missing_inputs_end_the_run_with_a_reason() {
    for gone in [false, true] {
        let place = Place::new();
        block_on(async {
            let run = late(&place).await;
            let id = run.id();
            let part = the_part(&place, id);
            if gone {
                fs::remove_file(part).unwrap();
            } else {
                damage(&part);
            };
            let Err(Error::Failed(failures)) = run.results().await else { panic!("it passed") };
            let failure = failures.last().unwrap();
            assert_eq!(failure.kind, FailureKind::Misconfigured, "{failure}");
            let reason = if gone { "it is not there" } else { "is not as it was planned" };
            assert!(failure.message.contains(reason), "{failure}");
            let status = place.status::<u32>(id).await;
            assert!(
                matches!(&status.state, RunState::Failed { kind: FailureKind::Misconfigured, .. }),
                "{status:?}"
            );
        });
    }
}

#[test]
fn a_damaged_manifest_is_named() {
    let place = Place::new();
    block_on(async {
        let id = cloud::map(double, 0..5).on(place.mock()).start().await.unwrap().detach();
        place.reaches::<u32>(id, |state| *state == RunState::Complete).await;
        damage(&place.object(&format!("runs/{id}/manifest")));
        let error = place.attach::<u32>(id).await.unwrap_err();
        assert!(matches!(&error, Error::Unreadable { key, .. } if key.ends_with("/manifest")), "{error}");
    });
}

#[test]
fn damaged_outcomes_are_named() {
    let place = Place::new();
    block_on(async {
        let id = cloud::map(double, [7]).on(place.mock()).start().await.unwrap().detach();
        place.reaches::<u32>(id, |state| *state == RunState::Complete).await;
        let outs = fs::read_dir(place.path().join(format!("runs/{id}/out"))).unwrap();
        outs.for_each(|out| damage(&out.unwrap().path()));
        let error = place.attach::<u32>(id).await.unwrap().results().await.unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    });
}

#[test]
fn a_batch_that_is_gone_is_told_from_a_run_that_is() {
    let place = Place::new();
    block_on(async {
        let id = cloud::map(nap, vec![20; 30]).on(place.mock()).slots(2).start().await.unwrap().detach();
        // As after days: Batch forgets jobs, the store keeps runs.
        fs::remove_dir_all(place.path().join("batch")).unwrap();
        let values = place.attach::<u64>(id).await.unwrap().results().await.unwrap();
        assert_eq!(values, vec![20; 30]);
    });
}

#[test]
fn a_store_that_refuses_ends_an_endless_input() {
    let place = Place::new();
    let path = place.path().to_path_buf();
    let endless = (0u64..).map(move |x| {
        if x == 3 {
            // A file where a folder is to be.
            fs::write(path.join("runs"), "in the way").unwrap();
        }
        vec![0u8; 4 << 20]
    });
    let error = cloud::map(|bytes: Vec<u8>| bytes.len(), endless).on(place.mock()).wait().unwrap_err();
    assert!(matches!(error, Error::Store(_) | Error::Unanswered { .. }), "{error}");
}
