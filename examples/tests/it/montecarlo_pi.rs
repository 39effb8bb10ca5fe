use std::f64::consts::PI;

use crate::program::Program;

fn montecarlo_pi(arguments: &str) -> Program {
    Program::new(env!("CARGO_BIN_EXE_montecarlo_pi"), arguments)
}

/// The estimate and its error, as printed.
fn figures(arguments: &str) -> (f64, f64) {
    let ended = montecarlo_pi(arguments).run();
    let [line] = ended.lines()[..] else { panic!("{}", ended.stdout) };
    let figures = line.strip_prefix("pi is about ").unwrap().split_once(", an error of ").unwrap();
    (figures.0.parse().unwrap(), figures.1.parse().unwrap())
}

#[test]
fn many_points_come_near_pi() {
    // The standard deviation of such an estimate is 0.0018.
    let (estimate, error) = figures("8 100000");
    assert!((estimate - PI).abs() < 0.01, "{estimate}");
    assert!(((estimate - PI).abs() - error).abs() < 2e-6, "{error} is not the error of {estimate}");
}

#[test]
fn every_seed_has_its_own_points_and_always_the_same() {
    let (one, two) = (figures("1 10000").0, figures("2 10000").0);
    assert_ne!(one, two, "the second seed throws other points than the first");
    assert_eq!(figures("2 10000").0, two);
    let multiple = one * 10_000.0 / 4.0;
    assert!((multiple - multiple.round()).abs() < 0.01, "10,000 points are counted: {one}");
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in ["0", "1 0", "1 1 1", "many"] {
        let ended = montecarlo_pi(arguments).run();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    montecarlo_pi("1 10").run_unread().assert_quiet();
}
