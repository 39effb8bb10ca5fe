use cloud_examples::{Chunk, Grid, SUM, calculate_z};

use crate::program::{Ended, Program};

fn peer(arguments: &str) -> Program {
    Program::new(env!("CARGO_BIN_EXE_peer"), arguments)
}

/// The repetitions' walls and checks, after a look at the line before them.
fn repetitions(ended: &Ended) -> Vec<(f64, u64)> {
    let objects = ended.objects();
    let keys = |object: &serde_json::Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (start, repetitions) = objects.split_first().unwrap();
    assert_eq!(keys(start), ["start_s", "version"]);
    assert!(start["start_s"].as_f64().unwrap() > 0.0);
    assert_eq!(start["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    let figures = |repetition: &serde_json::Value| {
        assert_eq!(keys(repetition), ["check", "wall"]);
        (repetition["wall"].as_f64().unwrap(), repetition["check"].as_u64().unwrap())
    };
    let figures: Vec<_> = repetitions.iter().map(figures).collect();
    assert!(figures.iter().all(|(wall, _)| *wall > 0.0), "{}", ended.stdout);
    figures
}

fn checks(ended: &Ended) -> Vec<u64> {
    repetitions(ended).into_iter().map(|(_, check)| check).collect()
}

fn bytes(grid: &Grid) -> Vec<u8> {
    grid.points.iter().flat_map(|point| [point.re.to_le_bytes(), point.im.to_le_bytes()].concat()).collect()
}

#[test]
fn fast_is_the_tutorials_problem() {
    assert_eq!(checks(&peer("fast 32 2 2").run()), [SUM, SUM]);
}

#[test]
fn fast_takes_its_grid_from_a_file() {
    let grid = Grid::new(50);
    let expected = calculate_z(Chunk { points: grid.points.clone(), maxiter: 1000 });
    let ended = peer("fast 7 2 1").env_file("SEEDBENCH_GRID", &bytes(&grid)).run();
    assert_eq!(checks(&ended), [expected.iter().copied().map(u64::from).sum::<u64>()]);
}

#[test]
fn noop_gives_every_integer_back() {
    assert_eq!(checks(&peer("noop 10000 2 3").run()), [49_995_000; 3]);
    assert_eq!(checks(&peer("noop 1 3 1").run()), [0]);
}

#[test]
fn ident_gives_every_byte_back() {
    assert_eq!(checks(&peer("ident 3 2 2").run()), [3 * 250_000 * 16; 2]);
}

#[test]
fn sched_naps_as_long_as_the_file_says() {
    let naps = b"0.05\n0.1\n0.05\n0.1\n1\n";
    let alone = repetitions(&peer("sched 4 1 2").env_file("SEEDBENCH_NAPS", naps).run());
    for (wall, check) in alone {
        assert_eq!(check, 4);
        assert!(wall >= 0.3, "one slot naps for 0.3 s in all: {wall}");
    }
    let together = repetitions(&peer("sched 4 4 1").env_file("SEEDBENCH_NAPS", naps).run());
    assert_eq!(together[0].1, 4);
    assert!(together[0].0 >= 0.1, "the longest nap is of 0.1 s: {}", together[0].0);
}

#[test]
fn wrong_usage_ends_with_64() {
    let wrong = [
        "",
        "fast",
        "fast 1 1",
        "fast 1 1 1 1",
        "pi 1 1 1",
        "Fast 1 1 1",
        "fast x 1 1",
        "fast 0 1 1",
        "fast 1 0 1",
        "fast 1 1025 1",
        "noop 1 1 -1",
        "noop 1 1 0",
        "sched 1 1 1",
    ];
    for arguments in wrong {
        let ended = peer(arguments).run();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(64), ""), "{arguments}");
        assert!(ended.stderr.starts_with("usage: peer "), "{arguments}: {}", ended.stderr);
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let wrong_naps: [(&[u8], &str); 4] = [
        (b"0.1\n", "it has 1 naps, expected 2"),
        (b"0.1\nsoon\n", "`soon` is no time in seconds"),
        (b"0.1\n-1\n", "`-1` is no time in seconds"),
        (b"\xff", "stream did not contain valid UTF-8"),
    ];
    for (naps, reason) in wrong_naps {
        let ended = peer("sched 2 1 1").env_file("SEEDBENCH_NAPS", naps).run();
        assert_eq!(ended.code, Some(1), "{reason}");
        assert!(ended.stderr.starts_with("peer: `") && ended.stderr.contains(reason), "{}", ended.stderr);
    }
    for grid in [&[0; 15][..], &[0; 24], &[]] {
        let ended = peer("fast 1 1 1").env_file("SEEDBENCH_GRID", grid).run();
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("bytes are no whole number of points"), "{}", ended.stderr);
    }
    let ended = peer("fast 1 1 1").env("SEEDBENCH_GRID", "missing").run();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("peer: `missing` cannot be used: "), "{}", ended.stderr);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    peer("noop 10 1 1").run_unread().assert_quiet();
}
