//! The tutorial's grid at maxiter 10,000 in 32 chunks, against two processes that have their input already and share the
//! chunks by turns.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::{Duration, Instant},
};

use num_complex::Complex;

use crate::support::{median, role};

const MAXITER: u32 = 10_000;
const CHUNKS: usize = 32;
const REPETITIONS: usize = 9;

/// A repetition's wall time and the sum that proves it.
type Timed = (Duration, u64);

pub(crate) fn run() {
    let chunks = chunks();
    let mut peers: Vec<Peer> = ["0", "1"].map(Peer::start).into();
    let ours = || -> Timed {
        let inputs = chunks.clone();
        let start = Instant::now();
        let counts = cloud::map(calculate_z, inputs).slots(2).wait().unwrap();
        let wall = start.elapsed();
        (wall, counts.iter().flatten().map(|count| u64::from(*count)).sum())
    };
    let mut theirs = || -> Timed {
        let start = Instant::now();
        peers.iter_mut().for_each(Peer::go);
        let sum = peers.iter_mut().map(Peer::sum).sum();
        (start.elapsed(), sum)
    };
    ours();
    let pairs: Vec<(Timed, Timed)> = (0..REPETITIONS).map(|_| (ours(), theirs())).collect();
    assert!(pairs.iter().all(|(ours, theirs)| ours.1 == theirs.1), "the sums differ");
    let medians = [
        median(pairs.iter().map(|(ours, theirs)| theirs.0.as_secs_f64() / ours.0.as_secs_f64())),
        median(pairs.iter().map(|(ours, _)| ours.0.as_secs_f64())),
        median(pairs.iter().map(|(_, theirs)| theirs.0.as_secs_f64())),
    ];
    let [speed, ours, theirs] = medians.map(Option::unwrap_or_default);
    println!(
        "  mandelbrot: {speed:.3} of the speed of two processes with their input   (target at least 0.97; \
         {ours:.3} s and {theirs:.3} s)"
    );
}

fn calculate_z(chunk: Vec<Complex<f64>>) -> Vec<u32> {
    let escape = |c: Complex<f64>| {
        let mut z = Complex::new(0.0, 0.0);
        for iteration in 0..MAXITER {
            z = z * z + c;
            if z.norm_sqr() > 4.0 {
                return iteration;
            }
        }
        MAXITER
    };
    chunk.into_iter().map(escape).collect()
}

fn chunks() -> Vec<Vec<Complex<f64>>> {
    let axis = |mut at: f64, step: f64, end: f64| {
        std::iter::from_fn(move || {
            let now = at;
            at += step;
            ((step > 0.0 && now < end) || (step < 0.0 && now > end)).then_some(now)
        })
    };
    let (x_step, y_step) = ((0.77 + 2.13) / 1000.0 * 2.0, (-1.3 - 1.3) / 1000.0 * 2.0);
    let points: Vec<Complex<f64>> = axis(1.3, y_step, -1.3)
        .flat_map(|y| axis(-2.13, x_step, 0.77).map(move |x| Complex::new(x, y)))
        .collect();
    points.chunks(points.len() / CHUNKS).map(<[_]>::to_vec).collect()
}

struct Peer {
    child: Child,
    go: ChildStdin,
    sums: BufReader<ChildStdout>,
}

impl Peer {
    fn start(part: &str) -> Peer {
        let mut child = role(&["role:grid", part])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (go, sums) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut peer = Peer { child, go, sums: BufReader::new(sums) };
        peer.sum(); // has its input
        peer
    }

    fn go(&mut self) {
        self.go.write_all(b"go\n").expect("it lives");
    }

    fn sum(&mut self) -> u64 {
        let mut line = String::new();
        self.sums.read_line(&mut line).expect("it lives");
        line.trim().parse().expect("a sum")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A peer's side: every second chunk, from the part given, each time it is told to go.
pub(crate) fn grid(arguments: &[String]) {
    let part: usize = arguments[0].parse().expect("0 or 1");
    let chunks = chunks();
    println!("0");
    for line in std::io::stdin().lines() {
        line.expect("a line");
        let mine = chunks.iter().skip(part).step_by(2);
        let sum: u64 = mine.flat_map(|chunk| calculate_z(chunk.clone())).map(u64::from).sum();
        println!("{sum}");
    }
}
