//! What goes into an engine and what comes out: a job, its input, its finished chunks, all without the user's types.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::pool::Surroundings;
use crate::{
    error::Result,
    failure::{Failure, Fault},
    function::{Codec, Limit},
};

/// The input, encoded chunk by chunk.
pub(crate) trait Feed {
    /// Appends the next chunk's input. A fault takes the chunk's place: it is not sent.
    fn poll_encode(
        &mut self,
        cx: &mut Context<'_>,
        limit: Limit,
        out: &mut Vec<u8>,
    ) -> Poll<Option<Result<Codec, Fault>>>;
}

/// What the slots need to know of a run.
pub(crate) struct Job {
    /// The first frame to every slot.
    pub(crate) run_frame: Arc<Vec<u8>>,
    pub(crate) slots: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) limit: Limit,
    pub(crate) chunks_per_slot: Option<usize>,
    pub(crate) surroundings: Arc<Surroundings>,
    /// The caller has no waker: a poll blocks until there is an outcome, or until progress is worth a report. Its input is
    /// never pending.
    pub(crate) blocking: bool,
}

/// One finished chunk, its value still encoded.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) index: usize,
    pub(crate) slot: Option<usize>,
    pub(crate) attempt: u32,
    /// Nanoseconds.
    pub(crate) elapsed: u64,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Value(Codec),
    Failed(Failure),
}

impl Body {
    /// The body; what is left behind is an empty value.
    #[inline]
    pub(crate) fn take(&mut self) -> Body {
        std::mem::replace(self, Body::Value(Codec::Postcard))
    }
}
