//! `peer WORKLOAD CHUNKS WORKERS REPS`: the examples' work in the form in which other systems are timed.
//!
//! Prints `{"start_s":..,"version":..}`, then `{"wall":..,"check":..}` for each repetition.

use std::{
    env,
    error::Error,
    io::{self, Write},
    process::ExitCode,
    thread::sleep,
    time::Instant,
};

use cloud_examples::{
    Chunk, Ending, Grid, MAXITER, Start, WIDTH, calculate_z, exit_code, print_line, read_grid, read_naps,
    repeat, warm_up,
};
use num_complex::Complex;

const USAGE: &str =
    "usage: peer fast|noop|ident|sched CHUNKS WORKERS REPS, with `SEEDBENCH_NAPS` set for sched";
const WRONG_USAGE: u8 = 64;

struct Job {
    workload: Workload,
    chunks: usize,
    workers: usize,
    reps: usize,
}

#[derive(Clone, Copy)]
enum Workload {
    Fast,
    Noop,
    Ident,
    Sched,
}

#[cloud::main]
fn main() -> ExitCode {
    let begun = Instant::now();
    let Some(job) = job() else {
        // The exit code says it too.
        let _ = writeln!(io::stderr(), "{USAGE}");
        return ExitCode::from(WRONG_USAGE);
    };
    exit_code("peer", run(&job, begun))
}

fn job() -> Option<Job> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [workload, chunks, workers, reps] = arguments.as_slice() else { return None };
    let workload = match workload.as_str() {
        "fast" => Workload::Fast,
        "noop" => Workload::Noop,
        "ident" => Workload::Ident,
        "sched" => env::var_os("SEEDBENCH_NAPS").map(|_| Workload::Sched)?,
        _ => return None,
    };
    let count = |text: &str, most: usize| text.parse().ok().filter(|count| (1..=most).contains(count));
    Some(Job {
        workload,
        chunks: count(chunks, usize::MAX)?,
        workers: count(workers, cloud::names::MAX_SLOTS)?,
        reps: count(reps, usize::MAX)?,
    })
}

fn run(job: &Job, begun: Instant) -> Ending {
    let Job { chunks, workers, .. } = *job;
    warm_up(workers)?;
    print_line(&Start { start_s: begun.elapsed().as_secs_f64(), version: env!("CARGO_PKG_VERSION") })?;
    match job.workload {
        Workload::Fast => {
            let grid = env::var_os("SEEDBENCH_GRID")
                .map_or_else(|| Ok(Grid::new(WIDTH)), |path| read_grid(&path))?;
            let input: Vec<Chunk> = grid.chunks(chunks, MAXITER).collect();
            let work = |input| Ok(cloud::map(calculate_z, input).slots(workers).wait()?);
            repeat(job.reps, &input, work, |counts| counts.iter().flatten().copied().map(u64::from).sum())
        }
        Workload::Noop => {
            let work = |numbers| {
                let same = cloud::map(|number: u64| number, numbers).slots(workers).iter();
                same.map(|value| Ok(value??.1)).sum::<Result<u64, Box<dyn Error>>>()
            };
            repeat(job.reps, &(0..chunks as u64), work, |sum| *sum)
        }
        Workload::Ident => {
            let points = Grid::new(WIDTH).points;
            let input = vec![points; chunks];
            let work =
                |input| Ok(cloud::map(|points: Vec<Complex<f64>>| points, input).slots(workers).wait()?);
            repeat(job.reps, &input, work, |back| {
                back.iter().map(|points| size_of_val(points.as_slice()) as u64).sum()
            })
        }
        Workload::Sched => {
            let naps = read_naps(&env::var_os("SEEDBENCH_NAPS").unwrap_or_default(), chunks)?;
            let work = |naps| Ok(cloud::map(sleep, naps).slots(workers).wait()?);
            repeat(job.reps, &naps, work, |done| done.len() as u64)
        }
    }
}
