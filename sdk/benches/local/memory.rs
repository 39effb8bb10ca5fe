//! The client's memory while no-op chunks stream through it.

use crate::support::role;

pub(crate) fn run() {
    let peak = |chunks: &str| -> f64 {
        let output = role(&["role:stream", chunks]).output().expect("this program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("a number of KiB") / 1024.0
    };
    let (small, large) = (peak("1000000"), peak("10000000"));
    println!("  client's peak: {small:.1} MiB for 1,000,000 chunks, {large:.1} MiB for 10,000,000");
    println!("  (targets: under 16 MiB, and not 1 MiB more; more by {:.2} MiB)", large - small);
}

/// Streams that many chunks and prints this process's largest resident set in KiB.
pub(crate) fn stream(chunks: &str) {
    let chunks: u64 = chunks.parse().expect("a number of chunks");
    let mut sum = 0;
    for value in cloud::map(|x: u64| x, 0..chunks).slots(2).iter() {
        sum += value.unwrap().unwrap().1;
    }
    assert_eq!(sum, chunks * (chunks - 1) / 2);
    let status = std::fs::read_to_string("/proc/self/status").expect("there is /proc");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("the kernel keeps a high-water mark");
    println!("{}", peak.trim().trim_end_matches(" kB"));
}
