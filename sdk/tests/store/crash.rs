//! A writer that is killed at any moment.

use std::{
    io::{BufRead, BufReader},
    thread::sleep,
    time::Duration,
};

use cloud::store::{Created, Store, WriteId};
use smol::block_on;

use crate::support::{again, create, keys, open, place_of, quick_folder, read};

/// Large enough to be half-written for a while.
fn body_of(number: u128) -> Vec<u8> {
    vec![number as u8; 3_000_000]
}

fn key_of(number: u128) -> String {
    format!("{}/{number:04}", number % 3)
}

#[test]
fn after_a_kill_every_object_is_whole_or_absent() {
    if let Some(place) = place_of(after_a_kill_every_object_is_whole_or_absent) {
        let store = open(&place);
        // The test's name stands in this line.
        println!();
        for number in 0.. {
            assert_eq!(create(&store, &key_of(number), body_of(number), number), Created::Yes);
            println!("answered {number}");
        }
    }
    for round in 0..12 {
        // Most of the time goes into writing, so most kills come there.
        let folder = quick_folder();
        let mut writer = again(after_a_kill_every_object_is_whole_or_absent, folder.path()).spawn().unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let answered = |line: std::io::Result<String>| line.unwrap().strip_prefix("answered ")?.parse().ok();
        let mut known: Vec<u128> = lines.by_ref().filter_map(answered).take(1).collect();
        // At another place of a write in each round.
        sleep(Duration::from_micros(700 * round));
        writer.kill().unwrap();
        writer.wait().unwrap();
        known.extend(lines.filter_map(answered));
        assert_eq!(known.first(), Some(&0), "the writer had begun");

        let store = open(folder.path());
        let there = keys(&store, "");
        for number in &known {
            assert!(there.contains(&key_of(*number)), "what was answered is there: {number} in {there:?}");
        }
        assert!(there.len() <= known.len() + 1, "one write was under way");
        for number in 0..=known.len() as u128 {
            let key = key_of(number);
            match read(&store, &key) {
                None => assert!(!there.contains(&key)),
                Some(body) => assert_eq!(body, body_of(number), "`{key}` is whole"),
            }
        }
        // Whatever it left behind is in nobody's way.
        let next = WriteId(1 << 64);
        let created = block_on(store.create("next", "body".into(), next)).unwrap();
        assert_eq!(created, Created::Yes);
    }
}
