//! The inputs' way from whoever polls to the store: pulled, encoded, packed, handed over part by part.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{launch::Packed, pack::Packer};
use crate::{function::Limit, worker::Feed};

/// Parts that wait to be stored, beside those that are being stored.
const PARTS: usize = 1;

/// Chunks packed between two looks at the clock, and how long one poll may pack.
const PACKED_PER_LOOK: u64 = 64;
const SLICE: Duration = Duration::from_millis(1);

pub(super) struct Packing {
    packer: Packer,
    limit: Limit,
    to: mpsc::Sender<Packed>,
    sending: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    input_over: bool,
    /// A poll waits by blocking, since its caller has no waker.
    blocking: bool,
    /// Bytes of encoded inputs so far.
    pub(super) bytes_in: u64,
}

impl Packing {
    /// For so many workers and, if that is known, so many chunks that take so long. What is packed comes out of the receiver, the layout last.
    pub(super) fn new(
        workers: u32,
        chunks: Option<usize>,
        chunk_time: Option<Duration>,
        limit: Limit,
        blocking: bool,
    ) -> (Packing, mpsc::Receiver<Packed>) {
        let (to, packed) = mpsc::channel(PARTS);
        let packer = Packer::new(workers, chunks.map(|chunks| chunks as u64)).chunk_time(chunk_time);
        (Packing { packer, limit, to, sending: None, input_over: false, blocking, bytes_in: 0 }, packed)
    }

    /// Packs until all is handed over, or nobody takes it any more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<()> {
        let begun = Instant::now();
        loop {
            if let Some(sending) = &mut self.sending {
                if sending.as_mut().poll(cx).is_pending() {
                    if !self.blocking {
                        return Poll::Pending;
                    }
                    pollster::block_on(sending);
                }
                self.sending = None;
            }
            // Nobody takes parts any more: the run has failed, and its end says why.
            if self.input_over || self.to.is_closed() {
                return Poll::Ready(());
            }
            if self.packer.chunks().is_multiple_of(PACKED_PER_LOOK)
                && !self.blocking
                && begun.elapsed() > SLICE
            {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut pending = false;
            let Packing { packer, limit, input_over, bytes_in, .. } = self;
            let part = packer.push(|out| {
                let start = out.len();
                match feed.poll_encode(cx, *limit, out) {
                    Poll::Ready(Some(encoded)) => {
                        *bytes_in += (out.len() - start) as u64;
                        Some(encoded)
                    }
                    Poll::Ready(None) => {
                        *input_over = true;
                        None
                    }
                    Poll::Pending => {
                        pending = true;
                        None
                    }
                }
            });
            if pending {
                return Poll::Pending;
            }
            let mut ready: Vec<Packed> = part.map(Packed::Part).into_iter().collect();
            if self.input_over {
                let (parts, layout) = std::mem::replace(&mut self.packer, Packer::new(1, None)).finish();
                ready.extend(parts.into_iter().map(Packed::Part));
                ready.push(Packed::Layout(layout));
            }
            if !ready.is_empty() {
                let to = self.to.clone();
                self.sending = Some(Box::pin(async move {
                    for packed in ready {
                        // Without a receiver the run has failed.
                        let _ = to.send(packed).await;
                    }
                }));
            }
        }
    }
}
