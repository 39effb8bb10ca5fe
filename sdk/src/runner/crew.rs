//! The slots of a worker, as its shift sees them: real ones, or a simulation's.

use std::task::{Context, Poll};

use crate::{
    error::Halting,
    event::SlotUse,
    worker::{Feed, Raw},
};

/// Slots that run what they are fed.
pub(crate) trait Crew {
    /// Goes on to the next finished chunk; false when the feed has ended and all is finished.
    ///
    /// # Errors
    /// When the slots cannot be used any more.
    fn poll_next(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<Halting<bool>>;

    /// The chunk that the last poll gave, and its value's bytes.
    fn current(&mut self) -> (&mut Raw, &[u8]);

    /// What each slot has done so far.
    fn used(&self) -> Vec<SlotUse>;
}
