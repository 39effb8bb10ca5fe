//! Many chunks, and many bytes.

use std::time::{Duration, Instant};

use crate::{place::Place, support::alone};

#[test]
fn two_hundred_thousand_chunks() {
    let place = Place::new();
    let begun = Instant::now();
    let values = cloud::map(|x: u64| x ^ 1, 0..200_000u64).on(place.mock()).slots(2).wait().unwrap();
    assert!(values.into_iter().eq((0..200_000).map(|x| x ^ 1)));
    // A hundredth of that on an idle machine.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    // Two writes a block, and blocks are few.
    let run = std::fs::read_dir(place.path().join("runs")).unwrap().next().unwrap().unwrap().path();
    let count = |folder: &str| std::fs::read_dir(run.join(folder)).unwrap().count();
    assert!(
        count("out") < 1000 && count("claims") < 1000,
        "{} outcomes, {} claims",
        count("out"),
        count("claims")
    );
}

/// This process's largest resident memory, MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn the_memory_of_a_client_does_not_grow_with_its_inputs() {
    alone(the_memory_of_a_client_does_not_grow_with_its_inputs, || {
        let place = Place::new();
        let before = peak_memory();
        let chunks = (0..1000).map(|x| vec![x as u8; 1 << 20]);
        let f = |bytes: Vec<u8>| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        let sums = cloud::map(f, chunks).on(place.mock()).slots(1).wait().unwrap();
        assert!(sums.into_iter().eq((0..1000).map(|x| (x % 256) << 20)));
        let grown = peak_memory() - before;
        println!("{before} MiB, then {grown} more");
        assert!(grown < 300, "{grown} MiB for 1000 MiB of inputs");
    });
}

#[test]
fn the_memory_of_a_client_does_not_grow_with_results_that_are_streamed() {
    alone(the_memory_of_a_client_does_not_grow_with_results_that_are_streamed, || {
        let place = Place::new();
        let before = peak_memory();
        let map = cloud::map(|x: u32| vec![x as u8; 1 << 20], 0..400).on(place.mock()).slots(1);
        let mut seen = 0;
        let mut values = map.stream().ordered();
        smol::block_on(async {
            while let Some(value) = values.next().await {
                let (index, bytes) = value.unwrap().unwrap();
                assert!(index == seen && bytes.len() == 1 << 20 && bytes[7] == seen as u8);
                seen += 1;
            }
        });
        assert_eq!(seen, 400);
        let grown = peak_memory() - before;
        assert!(grown < 200, "{grown} MiB for 400 MiB of results");
    });
}
