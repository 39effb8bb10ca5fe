//! How fast the local backend is, each figure beside a floor or a peer measured in the same run.
//!
//! `cargo bench -p cloud --bench local` runs all; names after `--` run some: `noop call large start memory mandelbrot
//! waiting`. Medians of interleaved pairs. Nothing here is a test: a busy machine changes times and hardly the ratios.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at the first thing that fails"
)]

mod call;
mod large;
mod mandelbrot;
mod memory;
mod noop;
mod start;
mod support;
mod waiting;

const BENCHES: [(&str, fn()); 7] = [
    ("noop", noop::run),
    ("call", call::run),
    ("large", large::run),
    ("start", start::run),
    ("memory", memory::run),
    ("mandelbrot", mandelbrot::run),
    ("waiting", waiting::run),
];

fn main() {
    cloud::init();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // Benchmarks that measure whole processes, and their floors, start this program again in one of these roles.
    if let Some(role) = arguments.first().and_then(|first| first.strip_prefix("role:")) {
        return match role {
            "echo" => support::echo(),
            "one-core-calls" => call::on_one_core(),
            "nothing" => {}
            "first-result" => start::first_result(),
            "stream" => memory::stream(&arguments[1]),
            "grid" => mandelbrot::grid(&arguments[1..]),
            other => panic!("unknown role `{other}`"),
        };
    }
    for (name, run) in BENCHES {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == name) {
            println!("{name}");
            run();
        }
    }
}
