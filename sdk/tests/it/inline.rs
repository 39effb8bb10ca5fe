//! The `inline` backend gives what `local` gives.

use std::{fmt::Debug, io, time::Duration};

use cloud::{Backend, Error, Failure, FailureKind, Wire};
use serde_json::{Value, json};

use crate::support::Recorder;

/// Values and failures alike; where a panic was is known in slots alone.
fn same<T: PartialEq + Debug>(of: impl Fn(Backend) -> cloud::Result<Vec<Result<T, Failure>>>) {
    let outcomes = [Backend::Inline, Backend::Local].map(|backend| {
        let known = |failure: Failure| {
            let kind = match &failure.kind {
                FailureKind::Panic { .. } => FailureKind::Panic { location: None, backtrace: None },
                kind => kind.clone(),
            };
            (failure.chunk, failure.attempt, kind, failure.message.clone())
        };
        let outcomes = of(backend).unwrap();
        assert!(!outcomes.is_empty());
        outcomes.into_iter().map(|outcome| outcome.map_err(known)).collect::<Vec<_>>()
    });
    assert_eq!(outcomes[0], outcomes[1]);
}

fn square(x: u64) -> u64 {
    x * x
}

fn name_of<T: Wire>(value: T) -> (String, T) {
    (std::any::type_name::<T>().into(), value)
}

#[test]
fn functions_of_all_kinds() {
    same(|backend| cloud::map(square, 0..100).on(backend).outcomes().wait());
    same(|backend| cloud::map(|x: u32| x.to_string(), 0..100).on(backend).outcomes().wait());
    same(|backend| cloud::map(name_of::<(u8, String)>, [(1, "a".into())]).on(backend).outcomes().wait());
    same(|backend| {
        cloud::map(async |x: u32| tokio::spawn(async move { x + 1 }).await.unwrap(), 0..9)
            .on(backend)
            .outcomes()
            .wait()
    });
    same(|backend| {
        cloud::map_with(vec![1u32, 2, 3], |shared, x: usize| shared[x], 0..3).on(backend).outcomes().wait()
    });
    same(|backend| {
        cloud::map(|x: Value| x, [json!({"a": [1, null]}), json!(2)]).on(backend).outcomes().wait()
    });
}

#[test]
fn failures_of_all_kinds() {
    let parse = |text: String| text.parse::<f64>();
    same(|backend| cloud::try_map(parse, ["1.5".into(), "x".into()]).on(backend).outcomes().wait());
    let open = async |path: String| -> io::Result<u64> { Ok(std::fs::metadata(path)?.len()) };
    same(|backend| cloud::try_map(open, ["/nowhere/at/all".into()]).on(backend).outcomes().wait());
    let odd = |x: u32| if x % 2 == 1 { panic!("{x} is odd") } else { x };
    same(|backend| cloud::map(odd, 0..10).on(backend).retries(2).outcomes().wait());
    let text = |x: usize| "x".repeat(x);
    same(|backend| cloud::map(text, [5, 500, 50]).max_result(100).on(backend).outcomes().wait());
    let length = |text: String| text.len();
    same(|backend| cloud::map(length, [text(5), text(500)]).max_result(100).on(backend).outcomes().wait());
}

#[test]
fn chunks_run_on_the_calling_thread_in_order() {
    let f = |_: u32| (std::process::id(), format!("{:?}", std::thread::current().id()));
    let places = cloud::map(f, 0..3).on(Backend::Inline).wait().unwrap();
    let here = (std::process::id(), format!("{:?}", std::thread::current().id()));
    assert!(places.iter().all(|place| *place == here), "{places:?}");
    let order: Vec<_> = cloud::map(|x: u32| x, 0..50)
        .on(Backend::Inline)
        .iter()
        .map(|value| value.unwrap().unwrap().0)
        .collect();
    assert_eq!(order, (0..50).collect::<Vec<_>>());
}

#[test]
fn values_go_through_the_same_codec() {
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Forgetful {
        #[serde(skip)]
        cache: u32,
        kept: u32,
    }
    let f = |value: Forgetful| (value.cache, value.kept);
    for backend in [Backend::Inline, Backend::Local] {
        let seen = cloud::map(f, [Forgetful { cache: 5, kept: 6 }]).on(backend).wait().unwrap();
        assert_eq!(seen, [(0, 6)]);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn async_functions_have_their_runtime_inside_another_one_too() {
    let nap = async |millis: u64| {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        millis
    };
    assert_eq!(cloud::map(nap, [5, 1]).on(Backend::Inline).await.unwrap(), [5, 1]);
    assert_eq!(cloud::map(nap, [5, 1]).on(Backend::Inline).wait().unwrap(), [5, 1]);
}

#[test]
fn options_without_a_meaning_are_warned_about_by_name() {
    let warnings_on = |backend: Backend, map: cloud::Map<_, u64>| {
        let recorder = Recorder::default();
        map.on(backend).reporter(recorder.clone()).wait().unwrap();
        recorder
            .only("warning")
            .iter()
            .map(|event| event["message"].as_str().unwrap().to_string())
            .collect::<Vec<_>>()
    };
    let map = || cloud::map(square, 0..3u64);
    let warnings = |map| warnings_on(Backend::Inline, map);
    assert_eq!(warnings(map()), Vec::<String>::new());
    assert_eq!(
        warnings(map().timeout(Duration::from_secs(1))),
        ["`.timeout(..)` has no effect on the `inline` backend"]
    );
    assert_eq!(warnings(map().slots(4)), ["`.slots(..)` has no effect on the `inline` backend"]);
    assert_eq!(
        warnings(map().chunks_per_slot(1)),
        ["`.chunks_per_slot(..)` has no effect on the `inline` backend"]
    );
    for backend in [Backend::Inline, Backend::Local] {
        let expected = format!("`.chunk_time(..)` has no effect on the `{backend}` backend");
        assert_eq!(warnings_on(backend, map().chunk_time(Duration::from_secs(1))), [expected]);
    }
}

#[test]
fn an_environment_is_refused() {
    let error = cloud::map(square, 0..3).env("A", "b").on(Backend::Inline).wait().unwrap_err();
    assert!(matches!(error, Error::Unsupported { option: "env", backend: "inline" }));
    assert_eq!(error.to_string(), "`.env(..)` has no meaning on the `inline` backend");
}
