//! The `inline` backend: the same values through the same codec, called on the polling thread. For debuggers and unit tests,
//! and for a map inside a chunk.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use super::{
    attempt::{Trouble, attempt},
    job::{Body, Feed, Raw},
};
use crate::{
    failure::{FailureKind, Fault},
    function::{Call, Codec, Encoder, Limit, Run, Shared, enter_runtime},
};

pub(crate) struct Inline {
    current: Raw,
    run: Run,
    shared: Shared,
    retries: u32,
    limit: Limit,
    replies: Encoder,
    next_index: usize,
    input: Vec<u8>,
    output: Vec<u8>,
    bytes_in: u64,
    bytes_back: u64,
}

impl Inline {
    pub(crate) fn new(run: Run, shared: Shared, retries: u32, limit: Limit) -> Inline {
        let current =
            Raw { index: 0, slot: None, attempt: 0, elapsed: 0, body: Body::Value(Codec::Postcard) };
        Inline {
            current,
            run,
            shared,
            retries,
            limit,
            replies: Encoder::default(),
            next_index: 0,
            input: Vec::new(),
            output: Vec::new(),
            bytes_in: 0,
            bytes_back: 0,
        }
    }

    /// Bytes of encoded inputs and results so far.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.bytes_in, self.bytes_back)
    }

    /// The chunk that the last poll gave, and its value's bytes.
    pub(crate) fn current(&mut self) -> (&mut Raw, &[u8]) {
        (&mut self.current, &self.output)
    }

    /// Runs the next chunk to its end; false when there is none.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<bool> {
        self.input.clear();
        let encoded = match feed.poll_encode(cx, self.limit, &mut self.input) {
            Poll::Ready(Some(encoded)) => encoded,
            Poll::Ready(None) => return Poll::Ready(false),
            Poll::Pending => return Poll::Pending,
        };
        let started = Instant::now();
        let mut attempts = 0;
        let result = encoded.and_then(|codec| {
            loop {
                attempts += 1;
                match self.attempt(codec) {
                    Err(fault) if fault.is_retryable() && attempts <= self.retries => {}
                    result => return result,
                }
            }
        });
        let index = self.next_index;
        let slot = (attempts > 0).then_some(0);
        self.next_index += 1;
        self.bytes_in += self.input.len() as u64;
        let body = match result {
            Ok(codec) => {
                self.bytes_back += self.output.len() as u64;
                Body::Value(codec)
            }
            Err(fault) => Body::Failed(fault.of(index, attempts, slot, Vec::new())),
        };
        let elapsed = started.elapsed().as_nanos() as u64;
        self.current = Raw { index, slot, attempt: attempts, elapsed, body };
        Poll::Ready(true)
    }

    fn attempt(&mut self, codec: Codec) -> Result<Codec, Fault> {
        let _runtime = enter_runtime().map_err(|error| {
            Fault::new(
                FailureKind::Error { chain: Vec::new() },
                format!("no runtime can be started: {error}"),
            )
        })?;
        self.output.clear();
        let call = Call {
            input: &self.input,
            codec,
            shared: &self.shared,
            replies: &mut self.replies,
            limit: self.limit,
        };
        attempt(self.run, call, &mut self.output).map_err(Trouble::into_fault)
    }
}
