//! One call of the user's function, with panics caught.

use std::{
    any::Any,
    backtrace::Backtrace,
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
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

/// What the hook saw of a panic.
struct Seen {
    location: Option<String>,
    backtrace: String,
}

/// Runs one chunk: appends its encoded result to `out`, or says why there is none. `out` is then as it was.
pub(super) fn attempt(run: Run, call: Call<'_>, out: &mut Vec<u8>) -> Result<Codec, Fault> {
    let start = out.len();
    let nested = IN_CHUNK.replace(true);
    let result = catch_unwind(AssertUnwindSafe(|| run(call, out)));
    IN_CHUNK.set(nested);
    let result = result.unwrap_or_else(|payload| Err(panicked(&*payload)));
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn panicked(payload: &(dyn Any + Send)) -> Fault {
    let message = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the panic's payload is not text".into());
    let (location, backtrace) = match LAST_PANIC.take() {
        Some(seen) => (seen.location, Some(seen.backtrace)),
        None => (None, None),
    };
    Fault::new(FailureKind::Panic { location, backtrace }, message)
}

/// Makes panics inside chunks quiet, since the failure says it all, and remembers where they were. Other threads' panics, and
/// all where a panic ends the process, are printed as ever.
pub(super) fn install_panic_hook() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if IN_CHUNK.get() && cfg!(panic = "unwind") {
            LAST_PANIC.set(Some(Seen { location: info.location().map(ToString::to_string), backtrace: frames(info) }));
        } else {
            usual(info);
        }
    }));
}

/// The frames between the panic and the user's function.
fn frames(_: &PanicHookInfo<'_>) -> String {
    let whole = Backtrace::force_capture().to_string();
    let lines: Vec<&str> = whole.lines().collect();
    // A frame is a line with the function and perhaps one with the place ("at ..").
    let starts = |text: &str| lines.iter().position(|line| line.contains(text));
    let from = starts("core::panicking::panic_fmt").map_or(0, |line| line + 1);
    let to = starts("worker::attempt::attempt").unwrap_or(lines.len()).max(from);
    let mut frames = lines[from..to].join("\n");
    let end = (0..=BACKTRACE_BYTES.min(frames.len())).rev().find(|end| frames.is_char_boundary(*end)).unwrap_or(0);
    frames.truncate(end);
    frames
}
