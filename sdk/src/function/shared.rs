//! The data that all chunks of a run share.

use std::{
    any::Any,
    cell::RefCell,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    codec::{Codec, decode},
    shape::{Wire, undecodable},
};
use crate::failure::Fault;

thread_local! {
    /// The value decoded last on this thread, and whose it is. Not a field of `Shared`: the future of an inline run must
    /// stay `Send` whatever the user's type is.
    static DECODED: RefCell<Option<(u64, Box<dyn Any>)>> = const { RefCell::new(None) };
}

/// Shared data as it came: decoded when the first chunk asks, once on each thread that runs chunks.
#[derive(Debug)]
pub(crate) struct Shared {
    id: u64,
    codec: Codec,
    bytes: Vec<u8>,
}

impl Shared {
    pub(crate) fn new(codec: Codec, bytes: Vec<u8>) -> Shared {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Shared { id: NEXT.fetch_add(1, Ordering::Relaxed), codec, bytes }
    }

    /// Calls `f` with the decoded data.
    pub(super) fn with<S: Wire, R>(&self, f: impl FnOnce(&S) -> R) -> Result<R, Fault> {
        let mine =
            DECODED.take().filter(|(id, _)| *id == self.id).and_then(|(_, value)| value.downcast().ok());
        let value: Box<S> = match mine {
            Some(value) => value,
            None => Box::new(decode(self.codec, &self.bytes).map_err(|error| undecodable::<S>(&error))?),
        };
        // Out of the cell while `f` runs, since a chunk may run a map of its own; back in it however `f` ends.
        let lent = Lent { id: self.id, value: Some(value) };
        Ok(f(lent.value.as_ref().expect("taken only when dropped")))
    }
}

impl Default for Shared {
    /// Of a run that shares nothing.
    fn default() -> Shared {
        Shared::new(Codec::Postcard, Vec::new())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // On another thread, or while a thread ends, the value stays until it is replaced.
        let _ = DECODED.try_with(|decoded| {
            decoded.try_borrow_mut().map(|mut decoded| decoded.take_if(|(id, _)| *id == self.id))
        });
    }
}

struct Lent<S: Wire> {
    id: u64,
    value: Option<Box<S>>,
}

impl<S: Wire> Drop for Lent<S> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            DECODED.set(Some((self.id, value)));
        }
    }
}
