use crate::program::Program;

fn failures() -> Program {
    Program::new(env!("CARGO_BIN_EXE_failures"), "")
}

#[test]
fn every_kind_of_failure_is_told_beside_the_values() {
    let ended = failures().run();
    let expected = [
        "chunk 0 gave 144",
        "chunk 1 returned an error: `twelve` is no number: invalid digit found in string (attempt 2)",
        "chunk 2 gave 2",
        "chunk 3 panicked: index out of bounds: the len is 3 but the index is 7 (at ",
        "chunk 4 exited: ",
        "chunk 5 aborted: ",
        "chunk 6 overflowed its stack: ",
        "chunk 7 ran past its timeout: ",
        "chunk 8 gave 81",
        "3 values, 6 failures",
    ];
    let lines = ended.lines();
    assert_eq!(lines.len(), expected.len(), "{}", ended.stdout);
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "`{line}` is not `{expected}`");
        let failed = line.starts_with("chunk ") && !line.contains(" gave ");
        assert_eq!(line.ends_with(" (attempt 2)"), failed, "each failure was tried again: {line}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let ended = failures().run_unread();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("failures: "), "{}", ended.stderr);
}
