//! `try_map`: functions that return a `Result`, with the error types that people have.

use std::{error::Error as StdError, fmt, io};

use anyhow::Context;
use cloud::{Failure, FailureKind};

/// The failure of the chunk in the middle of three, its neighbours being 0 and 20.
fn failure(outcomes: cloud::Result<Vec<Result<u32, Failure>>>) -> Failure {
    let mut outcomes = outcomes.unwrap();
    assert_eq!(outcomes.len(), 3);
    assert_eq!((outcomes[0].as_ref().ok(), outcomes[2].as_ref().ok()), (Some(&0), Some(&20)));
    let failure = outcomes.remove(1).unwrap_err();
    assert_eq!((failure.chunk, failure.attempt), (1, 1));
    failure
}

fn chain(failure: &Failure) -> &[String] {
    match &failure.kind {
        FailureKind::Error { chain } => chain,
        other => panic!("not an error: {other:?}"),
    }
}

#[test]
fn io_errors() {
    fn f(x: u32) -> io::Result<u32> {
        if x == 1 { Err(io::Error::other("disk on fire")) } else { Ok(x * 10) }
    }
    let failure = failure(cloud::try_map(f, 0..3).outcomes().wait());
    assert_eq!((failure.message.as_str(), chain(&failure)), ("disk on fire", &[][..]));
}

#[test]
fn all_good_chunks_give_plain_values() {
    let f = |x: u32| -> io::Result<u32> { Ok(x * 10) };
    assert_eq!(cloud::try_map(f, 0..3).wait().unwrap(), [0, 10, 20]);
}

#[test]
fn text_errors() {
    let f = |x: u32| if x == 1 { Err(format!("no {x}")) } else { Ok(x * 10) };
    assert_eq!(failure(cloud::try_map(f, 0..3).outcomes().wait()).message, "no 1");
    let f = |x: u32| if x == 1 { Err("plainly no") } else { Ok(x * 10) };
    assert_eq!(failure(cloud::try_map(f, 0..3).outcomes().wait()).message, "plainly no");
}

#[test]
fn anyhow_errors_keep_their_context() {
    fn f(x: u32) -> anyhow::Result<u32> {
        if x != 1 {
            return Ok(x * 10);
        }
        let missing: io::Result<u32> = Err(io::ErrorKind::NotFound.into());
        missing.context("the table is missing").context("pricing failed")
    }
    let failure = failure(cloud::try_map(f, 0..3).outcomes().wait());
    assert_eq!(failure.message, "pricing failed");
    assert_eq!(chain(&failure), ["the table is missing", "entity not found"]);
    assert_eq!(
        failure.to_string(),
        "chunk 1 returned an error: pricing failed: the table is missing: entity not found"
    );
}

#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("inner")
    }
}

impl StdError for Inner {}

impl StdError for Outer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

fn assert_outer_and_inner(failure: &Failure) {
    assert_eq!((failure.message.as_str(), chain(failure)), ("outer", &["inner".to_string()][..]));
}

#[test]
fn errors_of_the_users_own_type_keep_their_sources() {
    let f = |x: u32| if x == 1 { Err(Outer(Inner)) } else { Ok(x * 10) };
    assert_outer_and_inner(&failure(cloud::try_map(f, 0..3).outcomes().wait()));
}

#[test]
fn boxed_errors_keep_their_sources_with_send_and_sync_and_without() {
    fn local(x: u32) -> Result<u32, Box<dyn StdError>> {
        if x == 1 { Err(Outer(Inner).into()) } else { Ok(x * 10) }
    }
    fn threaded(x: u32) -> Result<u32, Box<dyn StdError + Send + Sync>> {
        if x == 1 { Err(Outer(Inner).into()) } else { Ok(x * 10) }
    }
    assert_outer_and_inner(&failure(cloud::try_map(local, 0..3).outcomes().wait()));
    assert_outer_and_inner(&failure(cloud::try_map(threaded, 0..3).outcomes().wait()));
}

#[test]
fn async_functions_return_all_of_them_too() {
    async fn own(x: u32) -> Result<u32, Outer> {
        if x == 1 { Err(Outer(Inner)) } else { Ok(x * 10) }
    }
    async fn any(x: u32) -> anyhow::Result<u32> {
        Ok(own(x).await?)
    }
    async fn local(x: u32) -> Result<u32, Box<dyn StdError>> {
        Ok(own(x).await?)
    }
    async fn threaded(x: u32) -> Result<u32, Box<dyn StdError + Send + Sync>> {
        Ok(own(x).await?)
    }
    async fn disk(x: u32) -> io::Result<u32> {
        own(x).await.map_err(io::Error::other)
    }
    assert_outer_and_inner(&failure(cloud::try_map(own, 0..3).outcomes().wait()));
    assert_outer_and_inner(&failure(cloud::try_map(any, 0..3).outcomes().wait()));
    assert_outer_and_inner(&failure(cloud::try_map(local, 0..3).outcomes().wait()));
    assert_outer_and_inner(&failure(cloud::try_map(threaded, 0..3).outcomes().wait()));
    assert_eq!(failure(cloud::try_map(disk, 0..3).outcomes().wait()).message, "outer");
    let closure = async |x: u32| own(x).await;
    assert_outer_and_inner(&failure(cloud::try_map(closure, 0..3).outcomes().wait()));
}

#[test]
fn every_error_of_a_run_is_listed_in_input_order() {
    let f = |x: u32| if x.is_multiple_of(3) { Err(format!("bad {x}")) } else { Ok(x) };
    let Err(cloud::Error::Failed(failures)) = cloud::try_map(f, 0..100).wait() else { panic!("it passed") };
    let listed: Vec<_> = failures.iter().map(|failure| (failure.chunk, failure.message.clone())).collect();
    assert_eq!(listed, (0..100).step_by(3).map(|x| (x, format!("bad {x}"))).collect::<Vec<_>>());
}

#[test]
fn an_unwrapped_err_inside_the_function_is_a_panic() {
    let f = |x: u32| -> io::Result<u32> {
        let checked = if x == 1 { Err("deep") } else { Ok(x * 10) };
        Ok(checked.unwrap())
    };
    let failure = failure(cloud::try_map(f, 0..3).outcomes().wait());
    assert!(matches!(failure.kind, FailureKind::Panic { .. }), "{failure:?}");
    assert!(failure.message.contains("deep"), "{}", failure.message);
}
