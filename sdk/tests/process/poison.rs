//! Chunks that kill their worker whenever they run.

use std::{fs, time::Duration};

use crate::{
    client::{Client, Part, Plan, Said},
    place::{Place, Scratch},
};

/// How often workers were started.
fn attempts(place: &Place) -> u64 {
    let attempts = |job: serde_json::Value| -> u64 {
        job["workers"].as_array().unwrap().iter().map(|worker| worker["attempts"].as_u64().unwrap()).sum()
    };
    place.jobs().iter().map(|job| attempts(serde_json::from_slice(&fs::read(job).unwrap()).unwrap())).sum()
}

/// Runs a map in which these chunks are poison: they are lost, and only they.
fn check(chunks: u64, workers: usize, poison: &[u64], most_attempts: u64) {
    let scratch = Scratch::new();
    let place = scratch.place();
    let mut plan = Plan::new(place.clone(), chunks, workers);
    plan.kill = poison.to_vec();
    let said = Client::start(&plan, &Part::Run, 0).said_within(Duration::from_secs(30));
    let Some(Said::Failed(failed)) = said else { panic!("{said:?}\n{}", place.story()) };
    let lost: Vec<u64> = failed.iter().map(|failure| failure.0).collect();
    assert_eq!(lost, poison, "{failed:?}\n{}", place.story());
    for (chunk, kind, message) in &failed {
        assert_eq!(kind, "Lost");
        assert!(message.contains("two workers died") && message.contains("exit code 137"), "{message}");
        assert_eq!(place.calls(*chunk), 3, "one death without a note, two with one");
    }
    let mut well: Vec<u64> = place.outcomes().into_values().flatten().collect();
    well.sort_unstable();
    let others: Vec<u64> = (0..chunks).filter(|chunk| !poison.contains(chunk)).collect();
    assert_eq!(well, others);
    let attempts = attempts(&place);
    assert!(attempts <= most_attempts, "{attempts} workers were started\n{}", place.story());
    assert!(place.is_left_within(Duration::from_secs(5)));
    println!("{chunks} chunks on {workers} workers, poison {poison:?}: {attempts} workers were started");
}

#[test]
fn a_chunk_that_kills_its_workers_is_lost_and_no_other() {
    // Three die, and in each of at most four rounds there are two.
    check(16, 2, &[5], 8);
}

#[test]
fn in_a_block_of_several_chunks_the_others_go_on() {
    check(128, 2, &[2], 8);
}

#[test]
fn one_worker_alone_gets_through() {
    check(16, 1, &[4], 4);
}
