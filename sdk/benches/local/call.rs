//! One call at a time: a round trip to a warm slot.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::support::{Echo, pairs, role, timed};

const CALLS: u32 = 2_000;

pub(crate) fn run() {
    measure("a call, unpinned", "ratio at most 1.3");
    let status = role(&["role:one-core-calls"]).status().expect("this program starts");
    assert!(status.success());
}

/// The same in a process of its own that may use a single core, and so may its slots.
pub(crate) fn on_one_core() {
    let everywhere = sched_getaffinity(None).expect("affinity can be read");
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|cpu| everywhere.is_set(*cpu)).expect("there is a core"));
    sched_setaffinity(None, &one).expect("affinity can be set");
    measure("a call, one core", "at most 10 us");
}

fn measure(label: &str, target: &str) {
    let ours = || {
        timed(|| {
            for x in 0..u64::from(CALLS) {
                assert_eq!(cloud::call(|x: u64| x, x).wait().unwrap(), x);
            }
        }) / CALLS
    };
    let mut echo = Echo::start();
    let floor = || {
        timed(|| {
            let mut frame = 8u64.to_le_bytes();
            for _ in 0..CALLS {
                echo.send(&frame);
                echo.receive(&mut frame);
            }
        }) / CALLS
    };
    pairs(label, target, 15, ours, "bare pipes", floor);
    let stream = || {
        timed(|| {
            for value in cloud::map(|x: u64| x, 0..u64::from(CALLS)).slots(1).iter() {
                value.unwrap().unwrap();
            }
        }) / CALLS
    };
    let awaited = || {
        timed(|| {
            pollster::block_on(async {
                for x in 0..u64::from(CALLS) {
                    assert_eq!(cloud::call(|x: u64| x, x).await.unwrap(), x);
                }
            });
        }) / CALLS
    };
    pairs("the same, awaited", "none", 5, awaited, "streamed, one slot", stream);
}
