//! What a seed means: the run, the faults, and what its clients do.

use std::time::Duration;

use fastrand::Rng;

use super::{
    effect::{Crash, Odds, Op, Point, Thing},
    sabotage::Sabotage,
};
use crate::{
    compute::simulated::Rules,
    wire::{Block, Manifest, Options, RunId},
};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) run: RunId,
    pub(super) workers: u32,
    /// Whether the packer is told how many chunks will come.
    pub(super) counted: bool,
    pub(super) chunks: Vec<Chunk>,
    pub(super) options: Options,
    pub(super) latency: (Duration, Duration),
    /// A late write arrives up to so long after it was sent.
    pub(super) late: Duration,
    pub(super) odds: Odds,
    /// How much of the time a new job may take to show up is used; up to 1.
    pub(super) find_lag: f64,
    pub(super) rules: Rules,
    /// Batch does not tell workers their numbers.
    pub(super) numberless: bool,
    /// How likely a container cannot be started.
    pub(super) stillborn: f64,
    /// How likely a worker dies at some effect of its own.
    pub(super) worker_crash: f64,
    /// How likely a worker's host cannot be reached: it is not told to stop, and lives on when it is called lost.
    pub(super) zombie: f64,
    /// Nothing goes wrong any more after that, but for what is wrong with chunks.
    pub(super) calm_after: Duration,
    /// The first one plans and submits; others come to the run later.
    pub(super) clients: Vec<ClientPlan>,
    pub(super) sabotage: Option<Sabotage>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    pub(super) time: Duration,
    pub(super) fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    /// The function fails.
    Fails,
    /// The worker dies with it.
    Poison,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ClientPlan {
    pub(super) at: Duration,
    pub(super) crash: Option<Crash>,
    pub(super) cancel: Option<Duration>,
    pub(super) detach: Option<Duration>,
    /// Whether it wants outcomes, and in order.
    pub(super) wanted: Option<bool>,
    /// It takes its time between two deliveries.
    pub(super) slow: Duration,
}

impl Plan {
    pub(super) fn new(seed: u64, sabotage: Option<Sabotage>) -> Plan {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let kinds: u32 = rng.u32(..);
        // Each kind of trouble is there in half of the seeds, so that what one hides another shows.
        let mut kind = 0;
        let mut troubled = || {
            kind += 1;
            kinds >> kind & 1 == 1
        };
        let workers = rng.u32(1..=4);
        let poisoned = troubled() && rng.bool();
        let fails = troubled();
        let usual = SECOND.mul_f64(0.01 + if rng.u32(..4) == 0 { 40.0 } else { 4.0 } * rng.f64().powi(2));
        let count = if rng.u32(..20) == 0 { 0 } else { rng.usize(1..=30) };
        let chunks = (0..count)
            .map(|_| Chunk {
                time: usual.mul_f64(if rng.u32(..20) == 0 { 20.0 } else { rng.f64() * 2.0 }),
                fate: match rng.u32(..100) {
                    0..4 if poisoned => Fate::Poison,
                    0..10 if fails => Fate::Fails,
                    _ => Fate::Fine,
                },
            })
            .collect();
        let calm_after = SECOND.mul_f64(10.0 + 200.0 * rng.f64());
        let odds = if troubled() { odds(rng) } else { Odds::default() };
        let (attempts, repairs) = (rng.u8(1..=4), rng.u32(0..=5));
        let batch_troubled = troubled();
        let crashing = troubled();
        let client_crash = troubled();
        let cancelled = troubled();
        Plan {
            seed,
            run: RunId::new(1_800_000_000_000, u128::from(seed)),
            workers,
            counted: rng.bool(),
            chunks,
            options: Options {
                slots: rng.u32(1..=3),
                timeout: None,
                retries: 0,
                max_bytes: 1 << 20,
                chunks_per_slot: None,
                environment: Vec::new(),
                worker_deadline: SECOND * rng.u32(60..900),
                attempts,
                milli_vcpus: 1000,
                memory: 2048,
                repairs,
                start_within: SECOND * 300,
            },
            latency: (SECOND / 1000, SECOND.mul_f64(0.002 + 0.2 * rng.f64())),
            late: SECOND.mul_f64(30.0 * rng.f64()),
            odds,
            find_lag: if rng.bool() { 1.0 } else { 0.0 },
            rules: rules(rng, batch_troubled, workers),
            numberless: rng.u32(..3) == 0,
            stillborn: if batch_troubled && rng.bool() { 0.1 } else { 0.0 },
            worker_crash: if crashing { 0.2 + 0.8 * rng.f64() } else { 0.0 },
            zombie: if rng.bool() { 0.5 } else { 0.0 },
            calm_after,
            clients: clients(rng, calm_after, client_crash, cancelled),
            sabotage,
        }
    }

    /// Nothing but chunks ends a worker before its time, or keeps it from starting.
    fn spares_workers(&self) -> bool {
        let Rules { spot_kill_rate, host_loss_rate, never_start, throttle, .. } = &self.rules;
        let odds = self.odds.not_sent + self.odds.lost_reply + self.odds.late;
        let rates = [*spot_kill_rate, *host_loss_rate, *never_start, self.stillborn, self.worker_crash, odds];
        let work: Duration = self.chunks.iter().map(|chunk| chunk.time).sum();
        rates.iter().all(|rate| *rate == 0.0) && throttle.is_none() && work < self.options.worker_deadline
    }

    /// No outcome may be missing at the end, unless somebody cancels.
    pub(super) fn must_complete(&self, manifest: Option<&Manifest>) -> bool {
        let poison = |index: u64| self.chunks[index as usize].fate == Fate::Poison;
        let deaths = |block: &Block| {
            let poisoned =
                (block.first..block.first + u64::from(block.chunks)).filter(|chunk| poison(*chunk));
            // The first is not noted, then two for each chunk; and each round has at least one.
            match poisoned.count() as u32 {
                0 => 0,
                chunks => 1 + 2 * chunks,
            }
        };
        let deaths: u32 = manifest.into_iter().flat_map(Manifest::blocks).map(deaths).sum();
        self.spares_workers() && self.options.repairs >= deaths
    }
}

fn odds(rng: &mut Rng) -> Odds {
    // Sometimes so much that retries are used up.
    let much = if rng.u32(..3) == 0 { 0.3 } else { 0.05 };
    let mut some = || much * rng.f64();
    Odds {
        not_sent: some(),
        lost_reply: some(),
        late: some(),
        twice: some(),
        conflict: some(),
        throttled: some(),
    }
}

fn rules(rng: &mut Rng, troubled: bool, workers: u32) -> Rules {
    let longest = SECOND.mul_f64(40.0 * rng.f64());
    let mut rate = |rate: f64| if troubled && rng.bool() { rate * rng.f64() } else { 0.0 };
    Rules {
        spot_kill_rate: rate(0.5),
        host_loss_rate: rate(0.5),
        never_start: rate(0.4),
        seed: rng.u64(..),
        start_delay: Duration::ZERO..=longest,
        killed_within: SECOND * 30,
        stop_grace: SECOND * rng.u32(1..=30),
        summary_lag: if rng.bool() { SECOND * 5 } else { Duration::ZERO },
        throttle: (troubled && rng.u32(..4) == 0).then_some(2),
        capacity: rng.bool().then(|| u64::from(rng.u32(1..=workers)) * 1000),
        ..Rules::default()
    }
}

fn clients(rng: &mut Rng, calm: Duration, crashing: bool, cancelled: bool) -> Vec<ClientPlan> {
    let others = if rng.bool() { 0 } else { rng.usize(1..=3) };
    let mut clients: Vec<ClientPlan> = Vec::new();
    for number in 0..=others {
        let some_time = |rng: &mut Rng| calm.mul_f64(rng.f64());
        clients.push(ClientPlan {
            at: if number == 0 { Duration::ZERO } else { some_time(rng) },
            crash: (crashing && rng.u32(..4) > 0).then(|| crash(rng, &CLIENT_CALLS, &RARE_CLIENT_CALLS)),
            cancel: (cancelled && rng.bool()).then(|| some_time(rng).mul_f64(rng.f64())),
            detach: (rng.u32(..10) == 0).then(|| some_time(rng)),
            wanted: if rng.u32(..10) == 0 { None } else { Some(rng.bool()) },
            slow: if rng.u32(..4) == 0 { SECOND } else { Duration::ZERO },
        });
    }
    // Two that come at the same moment.
    if let [_, .., before, last] = clients.as_mut_slice()
        && rng.bool()
    {
        last.at = before.at;
    }
    clients
}

/// How a worker dies.
pub(super) fn worker_crash(rng: &mut Rng) -> Crash {
    crash(rng, &WORKER_CALLS, &RARE_WORKER_CALLS)
}

/// Dies at some call, or at one of a kind that is worth it, often at a rare one.
fn crash(rng: &mut Rng, calls: &[Op], rare: &[Op]) -> Crash {
    let point = [Point::Before, Point::Applied, Point::Replied][rng.usize(..3)];
    let (of, after) = match rng.u32(..4) {
        0 => (None, rng.u32(..50)),
        1 => (Some(rare[rng.usize(..rare.len())]), 0),
        _ => (Some(calls[rng.usize(..calls.len())]), rng.u32(..4) / 3),
    };
    Crash { of, after, point }
}

const CLIENT_CALLS: [Op; 24] = [
    Op::Create(Thing::Part),
    Op::Create(Thing::Manifest),
    Op::Create(Thing::Intent),
    Op::Create(Thing::Submitted),
    Op::Create(Thing::Left),
    Op::Create(Thing::Cancelled),
    Op::Create(Thing::Closed),
    Op::Get(Thing::Manifest),
    Op::Get(Thing::Submitted),
    Op::Get(Thing::Claim),
    Op::Get(Thing::Left),
    Op::Get(Thing::Out),
    Op::Get(Thing::Cancelled),
    Op::Get(Thing::Closed),
    Op::Head(Thing::Closed),
    Op::List(Thing::Intent),
    Op::List(Thing::Claim),
    Op::List(Thing::Left),
    Op::List(Thing::Out),
    Op::Submit,
    Op::Find,
    Op::Describe,
    Op::Children,
    Op::Terminate,
];

/// Few clients of few seeds come to these.
const RARE_CLIENT_CALLS: [Op; 5] = [
    Op::Create(Thing::Part),
    Op::Create(Thing::Cancelled),
    Op::Create(Thing::Closed),
    Op::Children,
    Op::Terminate,
];

const WORKER_CALLS: [Op; 20] = [
    Op::Create(Thing::Number),
    Op::List(Thing::Number),
    Op::Create(Thing::Claim),
    Op::Create(Thing::Left),
    Op::Create(Thing::Trying),
    Op::Create(Thing::Out),
    Op::Create(Thing::Record),
    Op::Get(Thing::Manifest),
    Op::Get(Thing::Submitted),
    Op::Get(Thing::Claim),
    Op::Get(Thing::Left),
    Op::Get(Thing::Part),
    Op::Head(Thing::Cancelled),
    Op::Head(Thing::Claim),
    Op::Head(Thing::Out),
    Op::List(Thing::Intent),
    Op::List(Thing::Claim),
    Op::List(Thing::Left),
    Op::List(Thing::Out),
    Op::List(Thing::Trying),
];

/// Only lost replies, missing numbers and deaths lead to these.
const RARE_WORKER_CALLS: [Op; 6] = [
    Op::Head(Thing::Claim),
    Op::Head(Thing::Out),
    Op::Create(Thing::Number),
    Op::List(Thing::Number),
    Op::Create(Thing::Trying),
    Op::List(Thing::Trying),
];

/// What the function makes of chunk `index`.
pub(super) fn value(index: u64) -> [u8; 8] {
    Rng::with_seed(index).u64(..).to_le_bytes()
}
