//! What runs in CI, and how to replay a seed.

use super::{
    effect::Counts,
    executor::Sim,
    plan::Plan,
    sabotage::Sabotage,
};

/// What came of a seed.
struct Life {
    broken: Vec<String>,
    hash: u64,
    counts: Counts,
}

fn live(seed: u64, sabotage: Option<Sabotage>, shown: bool) -> Life {
    let mut sim = Sim::new(Plan::new(seed, sabotage), shown);
    sim.run();
    let inner = sim.world.lock();
    Life { broken: inner.audit.all_broken().to_vec(), hash: inner.log_hash(), counts: inner.counts.clone() }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// `CLOUD_SIM_SEED=1 cargo test -p cloud --lib sim::tests::replay -- --nocapture` shows what happens.
#[test]
fn replay() {
    let Some(seed) = number("CLOUD_SIM_SEED") else { return };
    println!("{:#?}", Plan::new(seed, None));
    let life = live(seed, None, true);
    assert!(life.broken.is_empty(), "{:#?}", life.broken);
}

#[test]
fn one() {
    for seed in 0..number("CLOUD_SIM_SEEDS").unwrap_or(200) {
        let life = live(seed, None, false);
        if !life.broken.is_empty() {
            println!("{seed}: {:?}", life.broken);
        }
    }
}
