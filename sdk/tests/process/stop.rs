//! SIGTERM.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::{
    bare::{Bare, put},
    client::{Client, Part, Said},
    place::{signal, within},
    scene::prepared,
};

#[test]
fn a_worker_that_is_told_to_stop_says_so_and_another_takes_over() {
    let (scratch, plan) = prepared(|plan| {
        plan.chunks = 64;
        plan.workers = 1;
        plan.hold = vec![2];
    });
    let place = scratch.place();
    // Its client was about to submit it.
    put(&place, "rounds/000/intent.000");
    let mut first = Bare::start(&place, "job", 1);
    assert!(within(Duration::from_secs(10), || place.runner_of(2).is_some()), "{}", place.story());
    let told = Instant::now();
    signal(first.pid(), Signal::TERM);
    assert!(within(Duration::from_secs(2), || place.count("left") == 1), "{}", place.story());
    println!("left after {:.1?}", told.elapsed());
    place.release();
    assert_eq!(first.code_within(Duration::from_secs(2)), Some(75), "another attempt may do better");
    assert_eq!(place.count("workers"), 1, "it leaves a record");
    assert_eq!(place.count("trying"), 0);

    let mut second = Bare::start(&place, "job", 2);
    assert_eq!(second.code_within(Duration::from_secs(10)), Some(0), "{}", place.story());
    let mut chunks: Vec<u64> = place.outcomes().into_values().flatten().collect();
    chunks.sort_unstable();
    assert!(chunks.into_iter().eq(0..64), "{}", place.story());
    assert_eq!(place.count("trying"), 0, "who leaves in good order leaves no poison");
    assert_eq!(place.calls(2), 2, "it was in the middle of its block");

    let part = Part::Attach { run: place.run().unwrap() };
    let said = Client::start(&plan, &part, 1).said_within(Duration::from_secs(10));
    assert_eq!(said, Some(Said::Values(plan.values())), "{}", place.story());
}
