//! What the cloud path costs beyond the work itself: `cargo bench -p cloud --bench mock -- noop million`.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Instant,
};

use cloud::Backend;

fn noop(n: u64) -> u64 {
    n
}

#[cloud::main]
fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let wants = |name: &str| chosen.is_empty() || chosen.iter().any(|choice| choice == name);
    if wants("noop") {
        report("10,000 no-op chunks", "0.5 s", 10_000, 5);
    }
    if wants("million") {
        report("1,000,000 no-op chunks", "20 s, 256 MiB", 1_000_000, 1);
    }
}

fn report(what: &str, aim: &str, chunks: u64, times: u32) {
    let folder = folder();
    let mut best = f64::INFINITY;
    for _ in 0..times {
        let begun = Instant::now();
        let values =
            cloud::map(noop, 0..chunks).on(Backend::mock().at(&folder)).wait().expect("every chunk is well");
        best = best.min(begun.elapsed().as_secs_f64());
        assert!(values.into_iter().eq(0..chunks));
    }
    let memory = peak_memory();
    writeln!(io::stdout(), "{what:28} {best:7.3} s   {memory:6.1} MiB at most   (aim: {aim})")
        .expect("a reader");
    drop(std::fs::remove_dir_all(folder));
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("cloud-bench-{}", std::process::id()))
}

/// This process's largest resident memory, MiB.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().map_or(f64::NAN, |kib| kib / 1024.0)
}
