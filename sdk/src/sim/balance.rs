//! How evenly work is spread, when nothing goes wrong: the real planner and the real workers against schedules that cost
//! nothing and know more.

use std::time::Duration;

use fastrand::Rng;

use super::{
    effect::Odds,
    executor::Sim,
    plan::{Chunk, ClientPlan, Fate, Plan},
};
use crate::compute::simulated::Rules;

const WORKERS: u32 = 8;
const CHUNKS: usize = 1000;
const SECOND: Duration = Duration::from_secs(1);

/// Workers may take so much longer than list scheduling, which hands out single chunks, in input order, at no cost.
const WORST: f64 = 1.10;

/// A line of the table: seconds from the submit to the last outcome.
#[derive(Debug)]
struct Measured {
    ours: f64,
    list: f64,
    longest_first: f64,
    halves: f64,
    workers: usize,
}

fn plan(seed: u64, times: &[f64]) -> Plan {
    let mut plan = Plan::new(seed, None);
    let chunk = |time: &f64| Chunk { time: SECOND.mul_f64(*time), fate: Fate::Fine };
    plan.workers = WORKERS;
    plan.chunks = times.iter().map(chunk).collect();
    plan.options.slots = 1;
    plan.options.worker_deadline = SECOND * 7200;
    plan.options.start_within = SECOND * 7200;
    plan.latency = (SECOND * 15 / 1000, SECOND * 15 / 1000);
    plan.odds = Odds::default();
    plan.find_lag = 0.0;
    plan.rules = Rules { seed, start_delay: SECOND * 5..=SECOND * 60, ..Rules::default() };
    (plan.stillborn, plan.worker_crash, plan.zombie) = (0.0, 0.0, 0.0);
    plan.clients = vec![ClientPlan { wanted: Some(true), ..ClientPlan::default() }];
    plan
}

fn measure(plan: Plan) -> Measured {
    let times: Vec<f64> = plan.chunks.iter().map(|chunk| chunk.time.as_secs_f64()).collect();
    let mut sim = Sim::new(plan, false);
    sim.run();
    let inner = sim.world.lock();
    assert!(!inner.audit.is_broken(), "{:?}", inner.audit.all_broken());
    let submitted = inner.shown_at.values().next().map_or(0.0, Duration::as_secs_f64);
    let last = inner.objects.iter().filter(|(key, _)| key.contains("/out/")).map(|(_, object)| object.at);
    let ours = last.max().map_or(0.0, |at| at.as_secs_f64() - submitted);
    let workers = inner.processes.iter().filter(|process| process.name.starts_with("worker"));
    let starts: Vec<f64> = workers.map(|worker| worker.started.as_secs_f64() - submitted).collect();
    let mut sorted = times.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let share = times.len().div_ceil(WORKERS as usize);
    let halves = times
        .chunks(share)
        .zip(starts.iter().cycle())
        .map(|(share, start)| start + share.iter().sum::<f64>());
    Measured {
        ours,
        list: list_schedule(&times, &starts),
        longest_first: list_schedule(&sorted, &starts),
        halves: halves.fold(0.0, f64::max),
        workers: starts.len(),
    }
}

/// Each chunk goes to the worker that is free first.
fn list_schedule(times: &[f64], starts: &[f64]) -> f64 {
    let mut free = starts.to_vec();
    for time in times {
        if let Some(first) = free.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *first += time;
        }
    }
    // Some worker may come when all is done.
    let ends = free.iter().zip(starts).filter(|(end, start)| end > start).map(|(end, _)| *end);
    ends.fold(0.0, f64::max)
}

/// Rows of the tutorial's picture, by their iterations; about a second each.
fn mandelbrot() -> Vec<f64> {
    let iterations = |row: usize, column: usize| {
        let (x, y) = (-2.0 + 3.0 * column as f64 / 200.0, -1.5 + 3.0 * row as f64 / CHUNKS as f64);
        let (mut re, mut im) = (0.0, 0.0);
        (0..500)
            .take_while(|_| {
                (re, im) = (re * re - im * im + x, 2.0 * re * im + y);
                re * re + im * im <= 4.0
            })
            .count()
    };
    let rows: Vec<f64> =
        (0..CHUNKS).map(|row| (0..200).map(|column| iterations(row, column)).sum::<usize>() as f64).collect();
    let mean = rows.iter().sum::<f64>() / rows.len() as f64;
    rows.into_iter().map(|row| row / mean).collect()
}

/// About a second each, one of them a hundred.
fn one_long(position: usize) -> Vec<f64> {
    let mut rng = Rng::with_seed(7);
    let mut times: Vec<f64> = (0..CHUNKS).map(|_| 0.8 + 0.4 * rng.f64()).collect();
    times[position] = 100.0;
    times
}

#[test]
fn workers_end_at_about_the_same_time() {
    let mut loads = vec![("mandelbrot rows".to_string(), mandelbrot())];
    for position in [0, 250, 500, 750, 900, 999] {
        loads.push((format!("one long, at {position}"), one_long(position)));
    }
    loads.push(("a tenth of a second".into(), one_long(0).iter().map(|time| time.min(1.0) / 10.0).collect()));
    println!(
        "{:22} {:>8} {:>8} {:>7} {:>13} {:>8}",
        "seconds", "cloud", "list", "ratio", "longest first", "halves"
    );
    let mut worst: f64 = 0.0;
    for (name, times) in &loads {
        for seed in 0..4 {
            let Measured { ours, list, longest_first, halves, .. } = measure(plan(seed, times));
            let ratio = ours / list;
            println!("{name:22} {ours:8.1} {list:8.1} {ratio:7.3} {longest_first:13.1} {halves:8.1}");
            worst = worst.max(ratio);
        }
    }
    assert!(worst <= WORST, "up to {worst:.3} times list scheduling");
}

#[test]
fn workers_that_never_come_change_speed_only() {
    let mut plan = plan(1, &mandelbrot());
    plan.rules.never_start = 0.5;
    let Measured { ours, list, workers, .. } = measure(plan);
    println!("{workers} of {WORKERS} workers came: {ours:.1} s, list scheduling on these {list:.1} s");
    assert!((2..7).contains(&workers), "{workers} workers came");
    assert!(ours <= WORST * list, "{ours} to {list}");
}
