//! The user's types at the edge of a run: items are encoded on their way in, values decoded on their way out.

use std::{
    any::type_name,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    engine::Cloud,
    error::{Halting, Result},
    failure::{FailureKind, Fault, Outcome},
    function::{Codec, EncodeError, Encoder, Limit, Wire, decode},
    inputs::{Nothing, Source},
    map::Plan,
    running::{Form, Running},
    worker::{Body, Feed, Raw},
};

/// A run with its input: gives outcomes of the user's type.
pub(crate) struct TypedRun<S> {
    running: Running,
    input: Input<S>,
}

impl<S: Source> TypedRun<S>
where
    S::Item: Wire,
{
    pub(crate) fn start(source: S, plan: Plan, form: Form) -> Result<TypedRun<S>> {
        let running = Running::start(plan, form, source.remaining())?;
        Ok(TypedRun { running, input: Input { source, encoder: Encoder::default() } })
    }

    /// Packs all inputs and waits until Batch has the run.
    ///
    /// # Errors
    /// When it could not be planned or submitted.
    pub(crate) fn poll_submitted(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.running.cloud() {
            Some(cloud) => cloud.poll_submitted(cx, &mut self.input).map_err(|error| *error),
            None => Poll::Ready(Ok(())),
        }
    }

    pub(crate) fn into_running(self) -> Running {
        self.running
    }

    /// The cloud run that it is, if it is one.
    pub(crate) fn cloud(&mut self) -> Option<&mut Cloud> {
        self.running.cloud()
    }

    /// See [`Running::announce`].
    pub(crate) fn announce(&mut self) {
        self.running.announce();
    }

    /// In input order; before the first outcome.
    pub(crate) fn order(&mut self) {
        self.running.order();
    }

    /// How many outcomes there will be, when the input knows.
    pub(crate) fn expected(&self) -> Option<usize> {
        self.running.expected()
    }

    /// No further outcome will come.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.running.is_over()
    }

    /// What `form` makes of the next outcome; `None` after the last. It is made here, where the outcome is still in
    /// registers: moving one up through every layer costs more than decoding a small value.
    ///
    /// # Errors
    /// When the run cannot go on; nothing more comes then.
    #[inline]
    pub(crate) fn poll_outcome<T: Wire, R>(
        &mut self,
        cx: &mut Context<'_>,
        form: impl FnOnce(Outcome<T>) -> R,
    ) -> Poll<Halting<Option<R>>> {
        match self.running.poll_next(cx, &mut self.input) {
            Poll::Ready(Ok(true)) => {}
            Poll::Ready(Ok(false)) => return Poll::Ready(Ok(None)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
        let (raw, bytes) = self.running.current();
        let outcome = outcome(raw, bytes);
        self.running.note(outcome.elapsed, outcome.result.as_ref().err());
        Poll::Ready(Ok(Some(form(outcome))))
    }
}

impl TypedRun<Nothing> {
    /// Of a run that has its inputs.
    pub(crate) fn attached(running: Running) -> TypedRun<Nothing> {
        TypedRun { running, input: Input { source: Nothing(()), encoder: Encoder::default() } }
    }
}

#[inline]
fn outcome<T: Wire>(raw: &mut Raw, bytes: &[u8]) -> Outcome<T> {
    let Raw { index, slot, attempt, elapsed, .. } = *raw;
    let result = match raw.body.take() {
        Body::Value(codec) => decode(codec, bytes).map_err(|reason| {
            let message = format!("`{}`: {reason}", type_name::<T>());
            Fault::new(FailureKind::UndecodableResult, message).of(index, attempt, slot, Vec::new())
        }),
        Body::Failed(failure) => Err(failure),
    };
    Outcome { index, slot, attempt, elapsed: Duration::from_nanos(elapsed), result }
}

/// The input as the engine takes it: encoded.
struct Input<S> {
    source: S,
    encoder: Encoder,
}

impl<S: Source> Feed for Input<S>
where
    S::Item: Wire,
{
    #[inline]
    fn poll_encode(
        &mut self,
        cx: &mut Context<'_>,
        limit: Limit,
        out: &mut Vec<u8>,
    ) -> Poll<Option<Result<Codec, Fault>>> {
        let item = match self.source.poll_next(cx) {
            Poll::Ready(Some(item)) => item,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        };
        let encoded = self.encoder.encode(&item, limit, out);
        let type_name = type_name::<S::Item>();
        Poll::Ready(Some(encoded.map_err(|error| match error {
            EncodeError::TooLarge => Fault::new(
                FailureKind::InputTooLarge { limit: limit.0 as u64 },
                format!("`{type_name}` takes more than {} bytes", limit.0),
            ),
            EncodeError::Refused(reason) => {
                Fault::new(FailureKind::UnencodableInput, format!("`{type_name}`: {reason}"))
            }
        })))
    }
}
