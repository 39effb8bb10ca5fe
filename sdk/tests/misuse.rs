//! What users get wrong, and what they then read. The programs are really built by cargo, since some errors come only
//! when code is generated, and really run.
//!
//! A case is a program whose first lines say what must happen. In `refused/`, each `//~ text` must be in what the compiler
//! says. In `runs/`: `//~ exit 1`, `//~ stdout a whole line`, `//~ stderr a part`, `//~ within 40` (seconds).

#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

mod outside;
#[path = "misuse/package.rs"]
mod package;

use std::{fs, process::Command, time::Duration};

use package::{Ended, Package, Running, source};

/// Whatever is wrong must be told promptly: well before the 20 seconds after which a silent slot is given up.
const WITHIN: u64 = 10;

const MANIFEST: &str = r#"
[package]
name = "NAME"
edition = "2024"

[workspace]

[dependencies]
cloud = { path = "SDK" }
serde = { version = "1", features = ["derive"] }
tokio = { version = "1", features = ["macros"] }
"#;

struct Case {
    name: String,
    /// What stands behind `//~`.
    expected: Vec<String>,
}

/// A package of that name with every program in the folder of that name, built; and the cases.
fn build(folder: &str) -> (package::Built, Vec<Case>) {
    let root = concat!(env!("CARGO_TARGET_TMPDIR"), "/misuse");
    let package = Package::make(format!("{root}/{folder}").into(), &MANIFEST.replace("NAME", folder));
    let mut cases = Vec::new();
    for file in fs::read_dir(source("misuse").join(folder)).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let expected: Vec<String> =
            text.lines().map_while(|line| line.strip_prefix("//~ ")).map(Into::into).collect();
        assert!(!expected.is_empty(), "`{name}` says nothing of what must happen");
        package.write(&format!("src/bin/{name}.rs"), &text);
        cases.push(Case { name, expected });
    }
    assert!(!cases.is_empty(), "`{folder}` is empty");
    for file in fs::read_dir(package.root.join("src/bin")).unwrap() {
        let path = file.unwrap().path();
        if !cases.iter().any(|case| path.file_stem().is_some_and(|name| name == case.name.as_str())) {
            fs::remove_file(path).unwrap(); // a case that is gone
        }
    }
    (package.build("--bins"), cases)
}

#[test]
fn mistakes_are_refused_by_the_compiler_in_words_that_help() {
    let (built, cases) = build("refused");
    let mut wrong = Vec::new();
    for Case { name, expected } in &cases {
        match built.program(name) {
            Ok(_) => wrong.push(format!("`{name}` builds")),
            Err(said) => {
                let missing = expected.iter().filter(|text| !said.contains(*text));
                wrong.extend(
                    missing.map(|text| format!("`{name}`: the compiler did not say: {text}\nbut:\n{said}")),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn programs_run_or_say_what_is_wrong_with_them() {
    let (built, cases) = build("runs");
    let mut wrong = Vec::new();
    let mut running = Vec::new();
    for case in &cases {
        match built.program(&case.name) {
            Ok(program) => {
                let within = case.expected.iter().find_map(|line| line.strip_prefix("within "));
                let within = within.map_or(WITHIN, |seconds| seconds.parse().unwrap());
                running.push((case, Running::start(&mut Command::new(program), Duration::from_secs(within))));
            }
            Err(said) => wrong.push(format!("`{}` does not build:\n{said}", case.name)),
        }
    }
    for (Case { name, expected }, running) in running {
        let ended = running.end();
        for line in expected {
            let (what, text) = line.split_once(' ').unwrap();
            let holds = match what {
                "exit" => ended.code == Some(text.parse().unwrap()),
                "stdout" => ended.stdout.lines().any(|line| line == text),
                "stderr" => ended.stderr.contains(text),
                "within" => true,
                _ => panic!("`{name}` expects an unknown thing: {line}"),
            };
            if !holds {
                let Ended { code, stdout, stderr } = &ended;
                wrong.push(format!(
                    "`{name}`: not so: {line}\nexit: {code:?}\nstdout:\n{stdout}\nstderr:\n{stderr}"
                ));
            }
        }
        if !expected.iter().any(|line| line.starts_with("exit ")) {
            wrong.push(format!("`{name}` does not say how it exits"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
