//! One call of a process to the world outside: under way for a while, and now and then struck by a fault.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::world::{Inner, Pid, World};

/// What a call is about: an operation and the kind of object. The phases of a run are told by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Op {
    Create(Thing),
    Get(Thing),
    Head(Thing),
    List(Thing),
    Submit,
    Find,
    Describe,
    Children,
    Terminate,
}

/// Kinds of objects, by their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    Part,
    Manifest,
    Intent,
    Submitted,
    Claim,
    Left,
    Trying,
    Out,
    Record,
    Number,
    Cancelled,
    Closed,
    Other,
}

impl Thing {
    pub(super) fn of(key: &str) -> Thing {
        let name = key.splitn(3, '/').nth(2).unwrap_or_default();
        let (folder, rest) = name.split_once('/').unwrap_or((name, ""));
        match folder {
            "in" => Thing::Part,
            "manifest" => Thing::Manifest,
            "rounds" if rest.ends_with("submitted") => Thing::Submitted,
            "rounds" => Thing::Intent,
            "claims" => Thing::Claim,
            "left" => Thing::Left,
            "trying" => Thing::Trying,
            "out" => Thing::Out,
            "workers" => Thing::Record,
            "numbers" => Thing::Number,
            "cancelled" => Thing::Cancelled,
            "closed" => Thing::Closed,
            _ => Thing::Other,
        }
    }
}

/// What strikes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// It never arrived.
    NotSent,
    /// It was applied, and the reply was lost.
    LostReply,
    /// The caller gives it up, and it is applied later.
    Late,
    /// It is applied, and later once more.
    Twice,
    /// Two writes met.
    Conflict,
    Throttled,
    /// The caller dies with it.
    Crash(Point),
}

/// Where in a call its caller dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    Before,
    Applied,
    Replied,
}

/// The end of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crash {
    /// Counting only calls of this kind, or all.
    pub(super) of: Option<Op>,
    /// So many calls go well.
    pub(super) after: u32,
    pub(super) point: Point,
}

/// How likely each fault is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Odds {
    pub(super) not_sent: f64,
    pub(super) lost_reply: f64,
    pub(super) late: f64,
    pub(super) twice: f64,
    pub(super) conflict: f64,
    pub(super) throttled: f64,
}

/// How often each fault struck each kind of call.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts(BTreeMap<(Fault, Op), u64>);

impl Counts {
    pub(super) fn add(&mut self, fault: Fault, op: Op) {
        *self.0.entry((fault, op)).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: &Counts) {
        for (pair, count) in &other.0 {
            *self.0.entry(*pair).or_default() += count;
        }
    }

    pub(super) fn get(&self, fault: Fault, op: Op) -> u64 {
        self.0.get(&(fault, op)).copied().unwrap_or_default()
    }
}

/// What a call answers when something strikes it.
#[derive(Debug, Clone)]
pub(super) struct Answers<T> {
    /// Nobody knows what became of it.
    pub(super) lost: T,
    pub(super) conflict: Option<T>,
    pub(super) throttled: Option<T>,
}

impl World {
    /// Makes a call for a process: it is on its way for a while, applied, and its answer is on its way again. Never ready for
    /// a process that is dead.
    pub(super) async fn call<T: Send + 'static>(
        self: &Arc<World>,
        pid: Pid,
        op: Op,
        what: impl fmt::Display,
        apply: impl Fn(&mut Inner) -> T + Clone + Send + 'static,
        answers: Answers<T>,
    ) -> T {
        let answer = self.lock().send(pid, op, &what, apply, answers);
        match answer.await {
            Ok(answer) => answer,
            // Its sender is gone: the caller is to die.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Inner {
    fn send<T: Send + 'static>(
        &mut self,
        pid: Pid,
        op: Op,
        what: &dyn fmt::Display,
        apply: impl Fn(&mut Inner) -> T + Clone + Send + 'static,
        answers: Answers<T>,
    ) -> oneshot::Receiver<T> {
        let (reply, answer) = oneshot::channel();
        if !self.processes[pid].alive {
            return answer;
        }
        let process = &mut self.processes[pid];
        process.effects += 1;
        let crash = match &mut process.crash {
            Some(Crash { of, after: 0, point }) if of.is_none_or(|of| of == op) => Some(*point),
            Some(Crash { of, after, .. }) if of.is_none_or(|of| of == op) => {
                *after -= 1;
                None
            }
            _ => None,
        };
        let name = process.name.clone();
        let fault = self.strike(op, &answers);
        match (crash, fault) {
            (Some(point), _) => self.log(format_args!("{name} -> {op:?} {what} (dies: {point:?})")),
            (None, Some(fault)) => self.log(format_args!("{name} -> {op:?} {what} ({fault:?})")),
            (None, None) => self.log(format_args!("{name} -> {op:?} {what}")),
        }
        if let Some(point) = crash {
            self.count(Fault::Crash(point), op);
        } else if let Some(fault) = fault {
            self.count(fault, op);
        }
        let (there, back) = (self.latency(), self.latency());
        let later = there + self.plan.late.mul_f64(self.rng.f64());
        match (crash, fault) {
            (Some(Point::Before), _) => self.kill(pid),
            (Some(Point::Applied), _) => {
                self.apply_after(there, move |inner| {
                    apply(inner);
                    inner.kill(pid);
                });
            }
            (Some(Point::Replied), _) => {
                self.apply_after(there, move |inner| {
                    let answer = apply(inner);
                    inner.after(back, move |inner| {
                        inner.processes[pid].doomed = true;
                        let _ = reply.send(answer);
                    });
                });
            }
            (None, None) => self.apply_after(there, move |inner| {
                let answer = apply(inner);
                inner.after(back, |_| drop(reply.send(answer)));
            }),
            (None, Some(Fault::Twice)) => {
                let again = apply.clone();
                self.apply_after(later, move |inner| drop(again(inner)));
                self.apply_after(there, move |inner| {
                    let answer = apply(inner);
                    inner.after(back, |_| drop(reply.send(answer)));
                });
            }
            (None, Some(fault)) => {
                match fault {
                    Fault::LostReply => self.apply_after(there, move |inner| drop(apply(inner))),
                    Fault::Late => self.apply_after(later, move |inner| drop(apply(inner))),
                    _ => {}
                }
                let answer = match fault {
                    Fault::Conflict => answers.conflict,
                    Fault::Throttled => answers.throttled,
                    _ => Some(answers.lost),
                };
                self.after(there + back, move |_| drop(answer.map(|answer| reply.send(answer))));
            }
        }
        answer
    }

    fn apply_after(&mut self, time: Duration, apply: impl FnOnce(&mut Inner) + Send + 'static) {
        self.in_flight += 1;
        self.after(time, move |inner| {
            inner.in_flight -= 1;
            apply(inner);
        });
    }

    fn strike<T>(&mut self, op: Op, answers: &Answers<T>) -> Option<Fault> {
        let odds = if self.is_calm() { Odds::default() } else { self.plan.odds };
        let writes = matches!(op, Op::Create(_) | Op::Submit | Op::Terminate);
        let mut chance = self.rng.f64();
        let mut struck = |odds: f64| {
            chance -= odds;
            chance < 0.0
        };
        if struck(odds.not_sent) {
            Some(Fault::NotSent)
        } else if writes && struck(odds.lost_reply) {
            Some(Fault::LostReply)
        } else if writes && struck(odds.late) {
            Some(Fault::Late)
        } else if writes && struck(odds.twice) {
            Some(Fault::Twice)
        } else if answers.conflict.is_some() && struck(odds.conflict) {
            Some(Fault::Conflict)
        } else if answers.throttled.is_some() && struck(odds.throttled) {
            Some(Fault::Throttled)
        } else {
            None
        }
    }

    fn latency(&mut self) -> Duration {
        let (shortest, longest) = self.plan.latency;
        shortest + (longest - shortest).mul_f64(self.rng.f64())
    }
}
