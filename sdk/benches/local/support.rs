//! Medians, pairs, and processes that do nothing but echo.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

/// Times two things in turn, `ours` first, and prints their medians with the ratio taken pair by pair.
pub(crate) fn pairs(
    label: &str,
    target: &str,
    repetitions: usize,
    mut ours: impl FnMut() -> Duration,
    floor_label: &str,
    mut floor: impl FnMut() -> Duration,
) {
    ours();
    floor();
    let times: Vec<(Duration, Duration)> = (0..repetitions).map(|_| (ours(), floor())).collect();
    let ratios = times.iter().map(|(ours, floor)| ours.as_secs_f64() / floor.as_secs_f64());
    println!(
        "  {label}: {:>10.3?}   {floor_label}: {:>10.3?}   ratio {:.2}   (target {target})",
        median(times.iter().map(|(ours, _)| ours.as_secs_f64()))
            .map(Duration::from_secs_f64)
            .unwrap_or_default(),
        median(times.iter().map(|(_, floor)| floor.as_secs_f64()))
            .map(Duration::from_secs_f64)
            .unwrap_or_default(),
        median(ratios).unwrap_or_default(),
    );
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// This program again, in a role of its own.
pub(crate) fn role(arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments);
    command
}

/// A process that sends back what it gets, in frames of a length of 8 bytes and that many bytes.
pub(crate) struct Echo {
    child: Child,
    requests: ChildStdin,
    results: ChildStdout,
}

impl Echo {
    pub(crate) fn start() -> Echo {
        let mut child = role(&["role:echo"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let (requests, results) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        for pipe in [
            rustix::pipe::fcntl_setpipe_size(&requests, 256 << 10),
            rustix::pipe::fcntl_setpipe_size(&results, 256 << 10),
        ] {
            pipe.expect("pipes can be enlarged");
        }
        Echo { child, requests, results }
    }

    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.requests.write_all(frame).expect("the echo lives");
    }

    pub(crate) fn receive(&mut self, frame: &mut [u8]) {
        self.results.read_exact(frame).expect("the echo lives");
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The echo's side: whole frames, as a slot must have a whole input before it calls the function.
pub(crate) fn echo() {
    let (mut stdin, mut stdout) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut frame = vec![0; 8];
    while stdin.read_exact(&mut frame[..8]).is_ok() {
        let length = u64::from_le_bytes(frame[..8].try_into().expect("eight bytes")) as usize;
        frame.resize(length.max(8), 0);
        if stdin.read_exact(&mut frame[8..length]).is_err() || stdout.write_all(&frame[..length]).is_err() {
            return;
        }
        let _ = stdout.flush();
    }
}
