//! What user code may do: print, read stdin, start threads and processes, move about. Nothing of it reaches
//! the protocol or the client.

use std::{
    collections::HashSet,
    fs,
    io::{self, Read, Write},
    process::{Command, Stdio},
    time::Duration,
};

use cloud::FailureKind;

use crate::support::{Notes, Rerun, all_gone_within, alone};

#[test]
fn prints_arrive_on_the_clients_stderr_in_whole_lines() {
    const CHUNKS: usize = 200;
    const LINES: usize = 100;
    let line =
        |chunk: usize, line: usize, stream: &str| format!("{stream} {chunk} {line} {}", "-".repeat(60));
    let Some(rerun) = Rerun::of(prints_arrive_on_the_clients_stderr_in_whole_lines) else {
        let f = |chunk: usize| {
            for line in 0..LINES {
                println!("out {chunk} {line} {}", "-".repeat(60));
                eprintln!("err {chunk} {line} {}", "-".repeat(60));
            }
            chunk
        };
        assert_eq!(cloud::map(f, 0..CHUNKS).slots(2).wait().unwrap(), (0..CHUNKS).collect::<Vec<_>>());
        return;
    };
    let said = rerun.output();
    assert!(!said.stdout.contains("---"), "prints of a slot are on stdout");
    assert!(said.stderr.len() > 2 << 20);
    let lines: HashSet<&str> = said.stderr.lines().collect();
    for chunk in 0..CHUNKS {
        for number in 0..LINES {
            for stream in ["out", "err"] {
                let line = line(chunk, number, stream);
                assert!(lines.contains(line.as_str()), "`{line}` is missing or torn");
            }
        }
    }
    assert_eq!(said.stderr.lines().count(), 2 * CHUNKS * LINES);
}

#[test]
fn a_print_without_a_newline_is_continued_by_the_next_chunk() {
    let Some(rerun) = Rerun::of(a_print_without_a_newline_is_continued_by_the_next_chunk) else {
        let f = |x: u32| if x == 0 { print!("half a line") } else { println!(" and its end") };
        cloud::map(f, 0..2).slots(1).wait().unwrap();
        return;
    };
    assert_eq!(rerun.output().stderr, "half a line and its end\n");
}

#[test]
fn bytes_that_are_no_text_pass_through() {
    let Some(rerun) = Rerun::of(bytes_that_are_no_text_pass_through) else {
        let f = |()| {
            io::stdout().write_all(&[0xff, 0, b'a', b'\n']).unwrap();
            let long = vec![b'x'; 300 << 10];
            io::stdout().write_all(&long).unwrap();
        };
        cloud::map(f, [(), ()]).slots(1).wait().unwrap();
        cloud::call(|()| println!(), ()).slots(1).wait().unwrap();
        return;
    };
    let said = rerun.output();
    assert_eq!(said.stderr.matches("\0a").count(), 2);
    assert_eq!(said.stderr.matches('x').count(), 2 * (300 << 10));
}

#[test]
fn stdin_is_empty() {
    let read = |_: u32| {
        let mut all = String::new();
        io::stdin().read_to_string(&mut all).map(|count| (count, all)).map_err(|error| error.to_string())
    };
    let replies = cloud::map(read, 0..4).wait().unwrap();
    assert!(replies.iter().all(|reply| *reply == Ok((0, String::new()))), "{replies:?}");
}

#[test]
fn threads_and_processes_are_the_users_own() {
    let f = |x: u64| {
        let threads: Vec<_> = (0..4).map(|y| std::thread::spawn(move || x * 10 + y)).collect();
        let sum: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        // It reads the slot's stdin, and prints where the slot prints.
        let status = Command::new("sh").args(["-c", "cat; echo from a child >&2"]).status().unwrap();
        let output = Command::new("sh").args(["-c", "cat; echo $0", &x.to_string()]).output().unwrap();
        (sum, status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let replies = cloud::map(f, 0..10).wait().unwrap();
    assert_eq!(replies, (0..10).map(|x| (40 * x + 6, true, format!("{x}\n"))).collect::<Vec<_>>());
}

#[test]
fn a_panic_in_a_thread_of_the_user_is_the_users_affair() {
    let f = |x: u32| {
        std::thread::spawn(move || if x == 3 { panic!("in a thread") } else { x }).join().unwrap_or(99)
    };
    assert_eq!(cloud::map(f, 0..6).wait().unwrap(), [0, 1, 2, 99, 4, 5]);
}

#[test]
fn processes_of_the_user_inherit_nothing_of_ours() {
    alone(processes_of_the_user_inherit_nothing_of_ours, || {
        /// The numbers of the descriptors that a child of this process has, and its environment.
        fn inherited(_: u32) -> (Vec<String>, String) {
            let output = |program, arguments: &[&str]| {
                let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
                String::from_utf8(output.stdout).unwrap()
            };
            (output("ls", &["/proc/self/fd"]).lines().map(String::from).collect(), output("env", &[]))
        }
        let (ours, _) = inherited(0);
        for (numbers, environment) in cloud::map(inherited, 0..4).slots(2).wait().unwrap() {
            assert_eq!(numbers, ours);
            assert!(!environment.contains("CLOUD_SLOT="), "{environment}");
        }
    });
}

#[test]
fn the_slot_variable_is_gone_and_the_rest_of_the_environment_is_there() {
    let seen = |name: String| std::env::var(name).ok();
    let names = ["CLOUD_SLOT", "PATH", "MADE_UP"].map(String::from);
    let values = cloud::map(seen, names).env("MADE_UP", "by .env").wait().unwrap();
    assert_eq!(values, [None, std::env::var("PATH").ok(), Some("by .env".to_string())]);
}

#[test]
fn arguments_and_directory_are_those_of_the_client() {
    let f =
        |()| (std::env::args().next(), std::env::current_dir().unwrap(), std::env::current_exe().unwrap());
    let (name, directory, program) = cloud::call(f, ()).wait().unwrap();
    assert_eq!(name, std::env::args().next());
    assert_eq!(directory, std::env::current_dir().unwrap());
    assert_eq!(program, std::env::current_exe().unwrap());
}

#[test]
fn changing_the_directory_is_the_slots_own_affair() {
    alone(changing_the_directory_is_the_slots_own_affair, || {
        let before = std::env::current_dir().unwrap();
        let moved =
            cloud::map(|x: u32| std::env::set_current_dir("/").map(|()| x).unwrap(), 0..20).slots(2).wait();
        assert_eq!(moved.unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(std::env::current_dir().unwrap(), before);
        assert_eq!(cloud::map(|x: u32| x, 0..20).slots(2).wait().unwrap().len(), 20);
    });
}

#[test]
fn a_panic_hook_of_the_user_is_used_and_failures_are_told_all_the_same() {
    let Some(rerun) = Rerun::of(a_panic_hook_of_the_user_is_used_and_failures_are_told_all_the_same) else {
        let f = |x: u32| {
            if x == 0 {
                std::panic::set_hook(Box::new(|info| {
                    eprintln!("hook: {}", info.payload_as_str().unwrap_or("?"));
                }));
            }
            assert!(x != 1, "{x} is wrong");
            x
        };
        let outcomes = cloud::map(f, 0..3).slots(1).outcomes().wait().unwrap();
        let failure = outcomes[1].as_ref().unwrap_err();
        assert_eq!(failure.message, "1 is wrong");
        assert_eq!(failure.kind, FailureKind::Panic { location: None, backtrace: None });
        assert_eq!(outcomes[2].as_ref().ok(), Some(&2));
        return;
    };
    assert!(rerun.output().stderr.contains("hook: 1 is wrong"));
}

#[test]
fn a_broken_pipe_is_the_chunks_own_trouble() {
    // Slots of a test program begin before Rust's runtime does, so SIGPIPE is at its default there.
    let f = |x: u32| {
        if x == 5 {
            let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            child.wait().unwrap();
            let error = stdin.write_all(&[0; 100]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            panic!("an error, as SIGPIPE is ignored");
        }
        x
    };
    for (x, outcome) in (0..).zip(cloud::map(f, 0..50).outcomes().wait().unwrap()) {
        match outcome {
            Ok(value) => assert_eq!(value, x),
            Err(failure) => {
                let ignored = failure.message == "an error, as SIGPIPE is ignored";
                assert!(
                    x == 5 && (ignored || failure.kind == FailureKind::Signal { number: 13 }),
                    "{failure:?}"
                );
            }
        }
    }
}

#[test]
fn an_async_process_library_with_its_own_child_handling_works_in_a_slot() {
    let f = async |x: u32| {
        let output =
            smol::process::Command::new("sh").args(["-c", &format!("echo {x}")]).output().await.unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(cloud::map(f, 0..6).wait().unwrap(), (0..6).map(|x| format!("{x}\n")).collect::<Vec<_>>());
}

/// Leaves a process behind and notes its number.
#[expect(clippy::zombie_processes, reason = "user code that forgets its children")]
fn leaves_a_child(notes: &Notes) {
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    notes.add(child.id());
}

#[test]
fn processes_left_behind_end_with_their_slot() {
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u32| {
        leaves_a_child(notes);
        if x == 1 {
            std::process::exit(1);
        }
    };
    let outcomes = cloud::map_with(notes.clone(), f, 0..2).slots(1).outcomes().wait().unwrap();
    assert!(outcomes[0].is_ok() && outcomes[1].is_err());
    let left = notes.processes();
    assert!(left.len() >= 2, "{left:?}");
    assert!(all_gone_within(Duration::from_secs(5), &left), "{left:?} live on");
}

#[test]
fn processes_left_behind_by_a_chunk_past_its_timeout_end_too() {
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, (): ()| {
        leaves_a_child(notes);
        std::thread::sleep(Duration::from_secs(100));
    };
    let map = cloud::map_with(notes.clone(), f, [()]).timeout(Duration::from_millis(300));
    assert!(map.outcomes().wait().unwrap()[0].is_err());
    assert!(all_gone_within(Duration::from_secs(5), &notes.processes()));
}

#[test]
fn closing_what_it_inherited_does_not_end_the_run() {
    // The numbers 0, 1 and 2 are all that a slot shares with user code.
    let f = |x: u32| {
        drop(fs::File::open("/dev/stdin"));
        Command::new("sh")
            .args(["-c", "exec <&- >&- 2>&-; exit 3"])
            .status()
            .unwrap()
            .code()
            .map(|code| code + x as i32)
    };
    assert_eq!(cloud::map(f, 0..3).wait().unwrap(), [Some(3), Some(4), Some(5)]);
}
