//! The client's stderr: lines of the slots, and a progress bar that must not be torn by them.

use std::{
    io::Write,
    sync::{Mutex, PoisonError},
};

use indicatif::ProgressBar;

static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// From now on lines are written around this bar; `None` when it is gone.
pub(crate) fn show_bar(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Writes to stderr as a whole. A closed stderr is the user's wish.
pub(crate) fn write(bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner);
    let print = || {
        let _ = std::io::stderr().write_all(bytes);
    };
    match &*bar {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}
