//! What must hold, looked at from outside all processes: at each write, at each end, and when all is over.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use bytes::Bytes;

use super::{
    effect::Thing,
    plan::{Fate, value},
    promises::Client,
    world::{Inner, Pid},
};
use crate::{
    compute::{ComputeError, ComputeErrorKind, JobId, JobSpec},
    engine::Command,
    error::Result,
    failure::FailureKind,
    wire::{
        Block, Claim, Incarnation, Keys, Leaver, Left, Manifest, RoundKey, Stored,
        outcome::{Body, split_frame, split_header},
    },
};

/// Whoever can know that a run has ended, or that a block is done, does so after this time: between a look and what follows
/// from it lie some calls, each sent again and again.
const KNOWN_WITHIN: Duration = Duration::from_secs(20);

/// A worker looks every 30 s.
const WORKERS_KNOW_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Audit {
    broken: Vec<String>,
    pub(super) manifest: Option<Manifest>,
    /// Which process an incarnation is.
    incarnations: BTreeMap<Incarnation, Pid>,
    workers: BTreeSet<Pid>,
    /// Batch has seen their ends.
    ended: BTreeSet<Pid>,
    /// Incarnations that have said so, or tried to.
    tried_to_leave: BTreeSet<Incarnation>,
    /// Submits that may have been taken, by the job's name.
    submits: BTreeMap<String, u32>,
    pub(super) jobs: u32,
    begun: BTreeSet<(Pid, u64)>,
    pub(super) clients: BTreeMap<Pid, Client>,
    /// Some client has brought everything home.
    pub(super) read: bool,
}

impl Audit {
    /// Something does not hold.
    pub(super) fn broken(&mut self, what: fmt::Arguments<'_>) {
        self.broken.push(what.to_string());
    }

    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    pub(super) fn all_broken(&self) -> &[String] {
        &self.broken
    }

    pub(super) fn note_worker(&mut self, pid: Pid) {
        self.workers.insert(pid);
    }

    pub(super) fn note_ended(&mut self, pid: Pid) {
        self.ended.insert(pid);
    }

    pub(super) fn note_job(&mut self, now: Duration, id: &JobId, spec: &JobSpec) {
        self.jobs += 1;
        if self.manifest.is_none() {
            self.broken(format_args!(
                "{} ({}) is submitted at {now:?}, before the manifest",
                spec.name, id.0
            ));
        }
    }

    pub(super) fn note_command(&mut self, pid: Pid, command: &Command) {
        let client = self.clients.entry(pid).or_default();
        client.detached |= *command == Command::Detach;
        client.cancels |= matches!(command, Command::Cancel(_));
    }

    fn block(&self, number: u32) -> Option<Block> {
        self.manifest.as_ref()?.blocks().nth(number as usize).copied()
    }
}

impl Inner {
    pub(super) fn has_manifest(&self) -> bool {
        self.audit.manifest.is_some()
    }

    pub(super) fn keys(&self) -> Keys {
        Keys::of(self.plan.run)
    }

    fn age(&self, key: &str) -> Option<Duration> {
        self.objects.get(key).map(|object| self.now - object.at)
    }

    pub(super) fn read<T: Stored>(&self, key: &str) -> Option<T> {
        self.objects.get(key).and_then(|object| T::from_object(&object.body).ok())
    }

    pub(super) fn closed_at(&self) -> Option<Duration> {
        self.objects.get(&self.keys().closed()).map(|object| object.at)
    }

    /// For how long the run has been over.
    fn over_for(&self) -> Option<Duration> {
        self.age(&self.keys().closed()).max(self.age(&self.keys().cancelled()))
    }

    /// A process sends a write.
    pub(super) fn note_create(&mut self, pid: Pid, key: &str, body: &Bytes) {
        if !self.processes[pid].alive {
            return;
        }
        let keys = self.keys();
        let over_for = self.over_for();
        match Thing::of(key) {
            Thing::Claim => {
                let claim = Claim::from_object(body).expect("a worker writes claims that can be read");
                self.audit.incarnations.insert(claim.incarnation, pid);
                if over_for.is_some_and(|time| time > KNOWN_WITHIN) {
                    self.audit
                        .broken(format_args!("{key} is claimed, and the run ended {over_for:?} before"));
                }
            }
            Thing::Left => {
                let left = Left::from_object(body).expect("notes of leaving can be read");
                let Some(incarnation) = keys.parse_left(key) else { return };
                if left.by == Leaver::Itself {
                    self.audit.tried_to_leave.insert(incarnation);
                } else if let Some(who) = self.audit.incarnations.get(&incarnation)
                    && !self.audit.ended.contains(who)
                {
                    let (name, by) = (&self.processes[*who].name, &self.processes[pid].name);
                    let what = format!("{by} says of {name}, which lives, that it has left");
                    self.audit.broken(format_args!("{what}"));
                }
            }
            Thing::Intent if over_for.is_some_and(|time| time > KNOWN_WITHIN) => {
                self.audit.broken(format_args!("{key} is written, and the run ended {over_for:?} before"));
            }
            _ => {}
        }
    }

    /// A write has been applied.
    pub(super) fn note_written(&mut self, pid: Pid, key: &str, body: &Bytes, overwritten: bool) {
        if overwritten {
            self.audit.broken(format_args!("{key} is written twice"));
        }
        let keys = self.keys();
        match Thing::of(key) {
            Thing::Manifest => self.audit.manifest = Manifest::from_object(body).ok(),
            Thing::Claim => {
                let Some((block, generation)) = keys.parse_claim(key) else { return };
                if let Some(before) = generation.checked_sub(1) {
                    let owner = self.read::<Claim>(&keys.claim(block, before)).map(|claim| claim.incarnation);
                    if owner.is_none_or(|owner| !self.objects.contains_key(&keys.left(owner))) {
                        self.audit
                            .broken(format_args!("{key} is claimed, and its owner {owner:?} has not left"));
                    }
                    let done = self.age(&keys.out(block));
                    if done.is_some_and(|age| age > self.plan.late + KNOWN_WITHIN) {
                        self.audit.broken(format_args!("{key} is claimed, and was done {done:?} before"));
                    }
                }
            }
            Thing::Out => {
                if let Err(wrong) = self.check_outcomes(pid, key, body) {
                    self.audit.broken(format_args!("{key}: {wrong}"));
                }
            }
            _ => {}
        }
    }

    fn check_outcomes(&self, pid: Pid, key: &str, body: &Bytes) -> Result<(), String> {
        let number = self.keys().parse_out(key).ok_or("no key of outcomes")?;
        let block = self.audit.block(number).ok_or("no such block")?;
        let (header, mut rest) = split_header(body).map_err(|error| error.to_string())?.ok_or("no header")?;
        if (header.block, header.chunks) != (number, block.chunks) {
            return Err(format!("its header says {header:?}"));
        }
        if self.audit.incarnations.get(&header.incarnation) != Some(&pid) {
            return Err("another worker's name is in it".into());
        }
        for chunk in 0..block.chunks {
            let (frame, after) = split_frame(rest)
                .map_err(|error| error.to_string())?
                .ok_or_else(|| format!("chunk {chunk} of it is missing"))?;
            rest = after;
            let index = block.first + u64::from(chunk);
            let fate = self.plan.chunks[index as usize].fate;
            let right = match &frame.body {
                Body::Value(_, bytes) => fate == Fate::Fine && **bytes == value(index),
                Body::Failed(failure) if failure.chunk as u64 != index => false,
                Body::Failed(failure) => match failure.kind {
                    FailureKind::Abort => fate == Fate::Fails,
                    FailureKind::Lost => self.deaths_over(number, chunk) >= 2,
                    _ => false,
                },
            };
            if !right {
                return Err(format!("chunk {index}, which is {fate:?}, has the outcome {:?}", frame.body));
            }
        }
        if rest.is_empty() { Ok(()) } else { Err("it has too many chunks".into()) }
    }

    /// Generations that noted this chunk and whose worker died.
    fn deaths_over(&self, block: u32, chunk: u32) -> usize {
        let keys = self.keys();
        let notes = self.objects.keys().filter_map(|key| keys.parse_trying(block, key));
        notes
            .filter(|(_, noted)| *noted == chunk)
            .filter(|(generation, _)| {
                let owner =
                    self.read::<Claim>(&keys.claim(block, *generation)).map(|claim| claim.incarnation);
                let left = owner.and_then(|owner| self.read::<Left>(&keys.left(owner)));
                left.is_some_and(|left| left.by != Leaver::Itself)
            })
            .count()
    }

    /// A client calls SubmitJob.
    pub(super) fn note_submit(&mut self, pid: Pid, spec: &JobSpec) {
        if !self.processes[pid].alive {
            return;
        }
        if !self.has_manifest() {
            self.audit.broken(format_args!("{} is submitted before the manifest is stored", spec.name));
        }
        let over_for = self.over_for();
        if over_for.is_some_and(|time| time > KNOWN_WITHIN) {
            self.audit
                .broken(format_args!("{} is submitted, and the run ended {over_for:?} before", spec.name));
        }
        let keys = self.keys();
        let round = spec.name.rsplit_once("-r").and_then(|(_, round)| round.parse().ok());
        let is_intent = |key: &String| matches!(keys.parse_round(key), Some((of, RoundKey::Intent(_))) if Some(of) == round);
        let intents = self.objects.keys().filter(|key| is_intent(key)).count() as u32;
        let submits = self.audit.submits.entry(spec.name.clone()).or_default();
        *submits += 1;
        if *submits > intents {
            let submits = *submits;
            self.audit
                .broken(format_args!("{} is submitted {submits} times, with {intents} intents", spec.name));
        }
    }

    pub(super) fn note_submit_answer(&mut self, spec: &JobSpec, answer: &Result<JobId, ComputeError>) {
        if answer.as_ref().is_err_and(|error| error.kind == ComputeErrorKind::Throttled)
            && let Some(submits) = self.audit.submits.get_mut(&spec.name)
        {
            *submits -= 1;
        }
    }

    /// A worker begins a chunk.
    pub(super) fn note_chunk(&mut self, pid: Pid, index: u64) {
        if !self.audit.begun.insert((pid, index)) {
            self.audit.broken(format_args!("process {pid} runs chunk {index} twice"));
        }
        let over_for = self.over_for();
        if over_for.is_some_and(|time| time > WORKERS_KNOW_WITHIN) {
            self.audit.broken(format_args!("chunk {index} is begun, and the run ended {over_for:?} before"));
        }
    }

    /// A worker has ended by itself.
    pub(super) fn note_exit(&mut self, pid: Pid, code: u8) {
        let over = self.over_for().is_some();
        let audit = &self.audit;
        let own =
            audit.incarnations.iter().filter(|(_, who)| **who == pid).map(|(incarnation, _)| *incarnation);
        let silent: BTreeSet<Incarnation> = own.filter(|own| !audit.tried_to_leave.contains(own)).collect();
        if code != 0 || over || silent.is_empty() {
            return;
        }
        let keys = self.keys();
        let claims =
            self.objects.range(keys.claims()..).take_while(|(key, _)| key.starts_with(&keys.claims()));
        let of_it = claims.filter(|(_, claim)| {
            Claim::from_object(&claim.body).is_ok_and(|claim| silent.contains(&claim.incarnation))
        });
        let undone = of_it.map(|(key, _)| key.clone()).find(|key| {
            keys.parse_claim(key).is_some_and(|(block, _)| !self.objects.contains_key(&keys.out(block)))
        });
        if let Some(key) = undone {
            let name = self.processes[pid].name.clone();
            self.audit.broken(format_args!("{name} has ended in good order, and {key} is not done"));
        }
    }
}
