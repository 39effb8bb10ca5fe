//! Ctrl-C ends the runs that are waited for, and only then the program: what runs elsewhere would go on and cost.

use std::{
    io::{self, Write},
    pin::pin,
    sync::{Mutex, Once, PoisonError},
    time::Duration,
};

use futures_util::future::{Either, select};
use tokio::{sync::mpsc, time::timeout};

use super::drive::Command;
use crate::wire::RunId;

/// How long ending may take before the program goes anyway. A second Ctrl-C does not wait.
const END_WITHIN: Duration = Duration::from_secs(20);

/// As a shell tells the end by SIGINT.
const INTERRUPTED: i32 = 130;

/// SIGINT's bit in the masks of `/proc/self/status`.
const SIGINT_BIT: u64 = 1 << (2 - 1);

static ATTENDED: Mutex<Vec<Interrupts>> = Mutex::new(Vec::new());

/// A run that Ctrl-C is to cancel.
pub(super) struct Interrupts {
    pub(super) run: RunId,
    pub(super) commands: mpsc::UnboundedSender<Command>,
}

impl Interrupts {
    /// From now on Ctrl-C cancels this run, until nobody takes its commands any more. A program that handles or ignores SIGINT
    /// by itself is left alone. To be called on the engine thread.
    pub(super) fn attend(self) {
        static LISTEN: Once = Once::new();
        let mut attended = ATTENDED.lock().unwrap_or_else(PoisonError::into_inner);
        attended.retain(|run| !run.commands.is_closed());
        attended.push(self);
        drop(attended);
        LISTEN.call_once(|| {
            if !is_handled() {
                tokio::task::spawn_local(listen());
            }
        });
    }
}

/// Whether SIGINT already does something else than end the program.
fn is_handled() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    };
    (mask("SigCgt:") | mask("SigIgn:")) & SIGINT_BIT != 0
}

#[expect(clippy::exit, reason = "what Ctrl-C does to a program that does not handle it")]
async fn listen() {
    if tokio::signal::ctrl_c().await.is_ok() {
        let attended = std::mem::take(&mut *ATTENDED.lock().unwrap_or_else(PoisonError::into_inner));
        let living: Vec<_> = attended.into_iter().filter(|run| !run.commands.is_closed()).collect();
        if !living.is_empty() {
            say("interrupted: telling workers to stop; once more to leave them to themselves");
        }
        for Interrupts { commands, .. } in &living {
            let _ = commands.send(Command::Cancel("it was interrupted by Ctrl-C".into()));
        }
        let ended = async {
            for Interrupts { run, commands } in &living {
                commands.closed().await;
                say(&format!("run {run} is cancelled; `Run::attach` gives what was done"));
            }
        };
        let again = pin!(tokio::signal::ctrl_c());
        match timeout(END_WITHIN, select(pin!(ended), again)).await {
            Ok(Either::Left(_)) => {}
            Ok(Either::Right(_)) => say("left to themselves; `Run::attach` and `.cancel()` end them"),
            Err(_) => say("not all runs have ended yet; `Run::attach` and `.cancel()` end them"),
        }
        std::process::exit(INTERRUPTED);
    }
}

fn say(what: &str) {
    let _ = writeln!(io::stderr(), "cloud: {what}");
}
