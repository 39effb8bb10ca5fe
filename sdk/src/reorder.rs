//! Outcomes in the order of the input.

use std::collections::BTreeMap;

use crate::worker::{Body, Raw};

/// What a held result costs beside its bytes.
const HELD_OVERHEAD: usize = 64;

/// Finished chunks that wait for one before them. Held encoded, so that what they cost is known.
#[derive(Default)]
pub(crate) struct Reorder {
    next: usize,
    held: BTreeMap<usize, (Raw, Vec<u8>)>,
    bytes: usize,
    /// The held chunk whose turn it is.
    shown: Option<(Raw, Vec<u8>)>,
}

impl Reorder {
    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether this chunk is the next one; then it counts as given.
    pub(crate) fn takes(&mut self, index: usize) -> bool {
        let takes = index == self.next;
        self.next += usize::from(takes);
        takes
    }

    /// The held chunk whose turn it is.
    pub(crate) fn shown(&mut self) -> Option<(&mut Raw, &[u8])> {
        self.shown.as_mut().map(|(raw, bytes)| (raw, bytes.as_slice()))
    }

    /// Keeps a chunk that is too early.
    pub(crate) fn hold(&mut self, raw: &mut Raw, bytes: &[u8]) {
        let held = (Raw { body: raw.body.take(), ..*raw }, bytes.to_vec());
        self.bytes += weight(&held);
        self.held.insert(raw.index, held);
    }

    /// Makes the chunk that is next the shown one, if it is held.
    pub(crate) fn show_next(&mut self) -> bool {
        self.shown = self.held.remove(&self.next);
        if let Some(shown) = &self.shown {
            self.next += 1;
            self.bytes -= weight(shown);
        }
        self.shown.is_some()
    }
}

fn weight((raw, bytes): &(Raw, Vec<u8>)) -> usize {
    let text = match &raw.body {
        Body::Value(_) => 0,
        Body::Failed(failure) => failure.text_bytes(),
    };
    HELD_OVERHEAD + bytes.len() + text
}
