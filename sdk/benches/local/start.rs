//! From the start of a program to its first chunk's result and its exit, two slots.

use crate::support::{pairs, role, timed};

pub(crate) fn run() {
    let run = |name: &'static str| {
        move || timed(|| assert!(role(&[name]).status().expect("this program starts").success()))
    };
    pairs(
        "two slots, one result each",
        "at most 6 ms",
        25,
        run("role:first-result"),
        "a program that ends",
        run("role:nothing"),
    );
}

pub(crate) fn first_result() {
    let pids = cloud::map(|_: u8| std::process::id(), [0, 1]).slots(2).wait().unwrap();
    assert_ne!(pids[0], pids[1]);
}
