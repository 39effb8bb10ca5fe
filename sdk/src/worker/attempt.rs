//! One call of the user's function, with panics caught.

use std::{
    any::Any,
    backtrace::Backtrace,
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    failure::{FailureKind, Fault},
    function::{Call, Codec, Run},
};

/// Longest backtrace text kept.
const BACKTRACE_BYTES: usize = 8 << 10;

thread_local! {
    static IN_CHUNK: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// What the hook saw of a panic. The backtrace is not resolved yet: the first one of a process may take a quarter of a
/// second, which is neither the chunk's time nor held against its timeout.
#[derive(Debug)]
struct Seen {
    location: Option<String>,
    backtrace: Backtrace,
}

/// Why an attempt has no value.
#[derive(Debug)]
pub(super) enum Trouble {
    Fault(Fault),
    Panic(Panic),
}

/// A caught panic.
#[derive(Debug)]
pub(super) struct Panic {
    message: String,
    seen: Option<Seen>,
}

impl Trouble {
    /// Resolves a panic's backtrace, which may take long.
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Trouble::Fault(fault) => fault,
            Trouble::Panic(Panic { message, seen }) => {
                let (location, backtrace) =
                    seen.map_or((None, None), |seen| (seen.location, Some(frames(&seen.backtrace))));
                Fault::new(FailureKind::Panic { location, backtrace }, message)
            }
        }
    }
}

/// Runs one chunk: appends its encoded result to `out`, or says why there is none. `out` is then as it was.
pub(super) fn attempt(run: Run, mut call: Call<'_>, out: &mut Vec<u8>) -> Result<Codec, Trouble> {
    let start = out.len();
    let nested = IN_CHUNK.replace(true);
    let result = catch_unwind(AssertUnwindSafe(|| run(&mut call, out)));
    IN_CHUNK.set(nested);
    let result = match result {
        Ok(result) => result.map_err(Trouble::Fault),
        Err(payload) => {
            let panic = Panic { message: text_of(&*payload), seen: LAST_PANIC.take() };
            // A payload of the user's own may panic again when it is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            Err(Trouble::Panic(panic))
        }
    };
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "the panic's payload is not text".into())
}

/// Makes panics inside chunks quiet, since the failure says it all, and remembers where they were. Other threads' panics, and
/// all where a panic ends the process, are printed as ever.
pub(super) fn install_panic_hook() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if IN_CHUNK.get() && cfg!(panic = "unwind") {
            let location = info.location().map(ToString::to_string);
            LAST_PANIC.set(Some(Seen { location, backtrace: Backtrace::force_capture() }));
        } else {
            usual(info);
        }
    }));
}

/// The frames between the panic and the user's function.
fn frames(backtrace: &Backtrace) -> String {
    let whole = backtrace.to_string();
    let lines: Vec<&str> = whole.lines().collect();
    // A frame is a line with the function and perhaps one with the place ("at ..").
    let starts = |text: &str| lines.iter().position(|line| line.contains(text));
    let from = starts("core::panicking::panic_fmt").map_or(0, |line| line + 1);
    let to = starts("worker::attempt::attempt").unwrap_or(lines.len()).max(from);
    let mut frames = lines[from..to].join("\n");
    let end =
        (0..=BACKTRACE_BYTES.min(frames.len())).rev().find(|end| frames.is_char_boundary(*end)).unwrap_or(0);
    frames.truncate(end);
    frames
}
