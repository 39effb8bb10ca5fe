//! What runs in CI, and how to replay a seed.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::{
    effect::{Counts, Fault, Op, Point, Thing},
    executor::Sim,
    plan::Plan,
    sabotage::{self, Sabotage},
};

/// Seeds that CI runs.
const SEEDS: u64 = 2000;

/// Of these, all run twice, and of the others some.
const TWICE: u64 = 100;
const TWICE_EACH: u64 = 50;

/// What came of a seed.
struct Life {
    broken: Vec<String>,
    hash: u64,
    counts: Counts,
}

fn live(seed: u64, sabotage: Option<Sabotage>, shown: bool) -> Life {
    let life = catch_unwind(AssertUnwindSafe(|| {
        let mut sim = Sim::new(Plan::new(seed, sabotage), shown);
        sim.run();
        let inner = sim.world.lock();
        let broken = inner.audit.all_broken().to_vec();
        Life { broken, hash: inner.log_hash(), counts: inner.counts.clone() }
    }));
    let panicked = |_| Life { broken: vec!["something panicked".into()], hash: 0, counts: Counts::default() };
    life.unwrap_or_else(panicked)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs all these seeds on all cores, each on one; stops at the first that `stop` says.
fn on_all_cores<T: Send>(
    seeds: u64,
    run: impl Fn(u64) -> T + Sync,
    stop: impl Fn(&T) -> bool + Sync,
) -> BTreeMap<u64, T> {
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let stopped = AtomicBool::new(false);
    let (run, stop, stopped) = (&run, &stop, &stopped);
    thread::scope(|scope| {
        let share = |thread| {
            move || {
                let mut lives = BTreeMap::new();
                for seed in (thread..seeds).step_by(threads as usize) {
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                    let life = run(seed);
                    stopped.fetch_or(stop(&life), Ordering::Relaxed);
                    lives.insert(seed, life);
                }
                lives
            }
        };
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(share(thread))).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("seeds are caught when they panic"))
            .collect()
    })
}

/// `CLOUD_SIM_SEED=1 cargo test -p cloud --lib sim::tests::replay -- --nocapture` shows what happens.
#[test]
fn replay() {
    let Some(seed) = number("CLOUD_SIM_SEED") else { return };
    println!("{:#?}", Plan::new(seed, None));
    let life = live(seed, None, true);
    assert!(life.broken.is_empty(), "{:#?}", life.broken);
}

/// `CLOUD_SIM_SEEDS=100000` runs more of them.
#[test]
fn whatever_happens_a_run_keeps_its_promises() {
    let seeds = number("CLOUD_SIM_SEEDS").unwrap_or(SEEDS);
    let run = |seed| {
        let mut life = live(seed, None, false);
        if (seed < TWICE || seed % TWICE_EACH == 0) && live(seed, None, false).hash != life.hash {
            life.broken.push("it is another story the second time".into());
        }
        life
    };
    let lives = on_all_cores(seeds, run, |_| false);
    let broken: Vec<String> = lives
        .iter()
        .filter(|(_, life)| !life.broken.is_empty())
        .map(|(seed, life)| {
            format!(
                "{}\n  CLOUD_SIM_SEED={seed} cargo test -p cloud --lib sim::tests::replay -- --nocapture",
                life.broken.join("\n")
            )
        })
        .collect();
    assert!(
        broken.is_empty(),
        "{} of {seeds} seeds:\n{}",
        broken.len(),
        broken[..broken.len().min(10)].join("\n")
    );
    let mut counts = Counts::default();
    lives.values().for_each(|life| counts.merge(&life.counts));
    let missing: Vec<_> = wanted().into_iter().filter(|(fault, op)| counts.get(*fault, *op) == 0).collect();
    assert!(seeds < SEEDS || missing.is_empty(), "these never met: {missing:?}");
}

/// Every fault must have struck every kind of call that it can strike.
fn wanted() -> Vec<(Fault, Op)> {
    use Op::{Children, Create, Describe, Find, Get, Head, List, Submit, Terminate};
    use Thing::{
        Cancelled, Claim, Closed, Intent, Left, Manifest, Number, Out, Part, Record, Submitted, Trying,
    };
    let things =
        [Part, Manifest, Intent, Submitted, Number, Claim, Left, Trying, Out, Record, Cancelled, Closed];
    let creates = things.map(Create).to_vec();
    let reads = [
        [Part, Manifest, Submitted, Claim, Left, Out, Cancelled, Closed].map(Get).to_vec(),
        [Cancelled, Closed, Claim, Out].map(Head).to_vec(),
        [Intent, Number, Claim, Left, Out, Trying].map(List).to_vec(),
    ]
    .concat();
    let calls = vec![Submit, Find, Describe, Children, Terminate];
    let writes = [creates.clone(), vec![Submit, Terminate]].concat();
    let all = [creates.clone(), reads, calls.clone()].concat();
    let pairs = |faults: &[Fault], ops: &[Op]| -> Vec<(Fault, Op)> {
        faults.iter().flat_map(|fault| ops.iter().map(|op| (*fault, *op))).collect()
    };
    [
        pairs(&[Fault::NotSent], &all),
        pairs(&[Fault::LostReply, Fault::Late, Fault::Twice], &writes),
        pairs(&[Fault::Conflict], &creates),
        pairs(&[Fault::Throttled], &calls),
        pairs(&[Point::Before, Point::Applied, Point::Replied].map(Fault::Crash), &all),
    ]
    .concat()
}

/// Each rule that is broken on purpose is found out, or the simulation sees nothing.
#[test]
fn sabotage_is_found_out() {
    for what in sabotage::ALL {
        let lives = on_all_cores(SEEDS, |seed| live(seed, Some(what), false), |life| !life.broken.is_empty());
        let found = lives.iter().find(|(_, life)| !life.broken.is_empty());
        let (seed, life) = found.unwrap_or_else(|| panic!("{what:?} is not found within {SEEDS} seeds"));
        println!("{what:?}: seed {seed}: {}", life.broken[0]);
    }
}
