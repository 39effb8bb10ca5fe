//! Several processes, one folder.

use std::{
    process::{Child, ExitStatus},
    thread::sleep,
    time::{Duration, SystemTime},
};

use cloud::store::{Created, Store, WriteId};
use smol::block_on;

use crate::support::{again, create, keys, open, place_of, read};

const PROCESSES: usize = 6;
const KEYS: usize = 60;

/// Bodies of several pages, so that half of one could be seen.
fn body_of(process: u32) -> Vec<u8> {
    process.to_le_bytes().repeat(10_000)
}

/// Every process writes the same keys in the same order, and notes those that it won.
#[test]
fn one_of_several_processes_wins_each_key() {
    if let Some(place) = place_of(one_of_several_processes_wins_each_key) {
        let (store, me) = (open(&place), std::process::id());
        // Together, not one after the other: by the clock that they share.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        sleep(Duration::from_millis(500) - Duration::from_millis(u64::from(now.subsec_millis()) % 500));
        for key in 0..KEYS {
            let key = format!("race/{}/{key}", key % 7);
            let created = create(&store, &key, body_of(me), u128::from(me));
            let winner = block_on(store.head(&key)).unwrap().unwrap();
            assert_eq!(
                read(&store, &key).unwrap(),
                body_of(winner.0 as u32),
                "a reader sees the winner's bytes"
            );
            if created == Created::Yes {
                assert_eq!(winner, WriteId(u128::from(me)));
                assert_eq!(create(&store, &format!("won/{key}.{me}"), "", 1), Created::Yes);
            }
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let racers: Vec<Child> = (0..PROCESSES)
        .map(|_| again(one_of_several_processes_wins_each_key, folder.path()).spawn().unwrap())
        .collect();
    let ends: Vec<ExitStatus> = racers.into_iter().map(|mut racer| racer.wait().unwrap()).collect();
    assert!(ends.iter().all(ExitStatus::success), "{ends:?}");

    let store = open(folder.path());
    let won = keys(&store, "won/");
    let mut winners: Vec<&str> = won.iter().map(|note| note.rsplit_once('.').unwrap().0).collect();
    winners.dedup();
    assert_eq!((won.len(), winners.len()), (KEYS, KEYS), "each key was won once: {won:?}");
    for note in &won {
        let (key, winner) = note["won/".len()..].rsplit_once('.').unwrap();
        assert_eq!(
            read(&store, key).unwrap(),
            body_of(winner.parse().unwrap()),
            "the winner's bytes are `{key}`"
        );
    }
}
