//! A program as users have it: a fresh package in a folder of its own, with a library crate that maps too.

use std::{fs, process::Command, time::Duration};

use crate::package::{Package, Running, source};

const MANIFEST: &str = r#"
[package]
name = "NAME"
edition = "2024"

[dependencies]
cloud = { path = "SDK" }
jobs = { path = "jobs" }

[lib]
name = "outside"

[[bench]]
name = "bench"
harness = false
"#;

const JOBS: &str = r#"
[package]
name = "jobs"
edition = "2024"

[dependencies]
cloud = { path = "SDK" }
serde = "1"
"#;

const WITH_TEST_FEATURE: &str = r#"
[dev-dependencies]
cloud = { path = "SDK", features = ["test"] }
"#;

const FILES: [&str; 6] = [
    "src/main.rs",
    "src/lib.rs",
    "tests/maps.rs",
    "tests/init_in_a_test_thread.rs",
    "benches/bench.rs",
    "jobs/src/lib.rs",
];

/// The package. Its name is another one for each test, so that none replaces another's programs.
fn package(folder: &tempfile::TempDir, name: &str, more: &str) -> Package {
    let package = Package::make(folder.path().into(), &format!("{}{more}", MANIFEST.replace("NAME", name)));
    Package::make(folder.path().join("jobs"), JOBS);
    for file in FILES {
        package.write(file, &fs::read_to_string(source("outside/program").join(file)).unwrap());
    }
    package
}

#[test]
fn a_package_of_its_own_maps_in_debug_and_release() {
    let folder = tempfile::tempdir().unwrap();
    let package = package(&folder, "program", "");
    for profile in ["dev", "release"] {
        let ended = package.cargo(&["run", "--profile", profile]);
        assert_eq!(ended.code, Some(0), "{profile}: {}", ended.stderr);
        let expected = "function [1, 8, 27, 64, 125]\n\
                        closure [2, 2]\n\
                        own library [2, 4, 6]\n\
                        library [2, 3, 2]\n\
                        generic library [[\"to\", \"or\", \"not\"]] [[3, 2, 1], [9, 8]]\n";
        assert_eq!(ended.stdout, expected, "{profile}");
    }
}

#[test]
fn its_tests_doctests_and_benches_map_with_the_feature_test() {
    let folder = tempfile::tempdir().unwrap();
    let package = package(&folder, "tested", WITH_TEST_FEATURE);
    let ended = package.cargo(&["test"]);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    for test in [
        "test tests::a_unit_test_maps ... ok",
        "test maps ... ok",
        "test init_in_a_test_thread ... ok",
        "test src/lib.rs - doubled (line",
    ] {
        assert!(ended.stdout.contains(test), "no `{test}` in:\n{}", ended.stdout);
    }
    let ended = package.cargo(&["test", "--bench", "bench"]);
    assert!(ended.stdout.contains("bench [12, 14]"), "{}\n{}", ended.stdout, ended.stderr);
}

#[test]
fn its_tests_say_what_is_missing_without_the_feature_test() {
    let folder = tempfile::tempdir().unwrap();
    let built = package(&folder, "untested", "").build("--tests");
    let said = |test: &str| {
        let program = built.program(test).unwrap_or_else(|said| panic!("{said}"));
        let ended = Running::start(Command::new(program).arg("--nocapture"), Duration::from_secs(10)).end();
        assert_eq!(ended.code, Some(101), "{}\n{}", ended.stdout, ended.stderr);
        ended.stderr
    };
    let forgotten = said("maps");
    assert!(forgotten.contains("`cloud::init` has not run in this process"), "{forgotten}");
    assert!(
        forgotten.contains("in tests, doctests and benches add the feature `test` of `cloud`"),
        "{forgotten}"
    );
    let too_late = said("init_in_a_test_thread");
    assert!(too_late.contains("it printed \"\\nrunning 1 test"), "{too_late}");
    assert!(too_late.contains("before `cloud::init`"), "{too_late}");
}
