//! Outcomes of a run one by one: streams, and a blocking iterator.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_core::Stream;

use crate::{
    error::Result,
    failure::{Failure, Outcome},
    function::Wire,
    inputs::{Iter, Nothing, Source},
    map::Map,
    stage::Stage,
    typed::TypedRun,
};

/// Outcomes as they finish, with slot, attempt and time; `None` after the last.
///
/// An item is an error only when the run itself cannot go on, and then the last. Made by [`Map::details`].
///
/// # Cancellation
/// Dropping it cancels the run.
#[must_use = "streams do nothing unless polled"]
pub struct Details<S, T> {
    stage: Stage<S>,
    value: std::marker::PhantomData<fn() -> T>,
}

impl<S, T> Unpin for Details<S, T> {}

impl<S: Source, T: Wire> Stream for Details<S, T>
where
    S::Item: Wire,
{
    type Item = Result<Outcome<T>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_as(cx, |outcome| outcome)
    }
}

impl<S: Source, T: Wire> Details<S, T>
where
    S::Item: Wire,
{
    #[inline]
    fn poll_as<R>(
        &mut self,
        cx: &mut Context<'_>,
        form: impl FnOnce(Outcome<T>) -> R,
    ) -> Poll<Option<Result<R>>> {
        self.stage.poll_outcome(cx, form).map(|outcome| outcome.map_err(|error| *error).transpose())
    }

    /// The next outcome. Cancel-safe: nothing is lost if this future is dropped.
    pub async fn next(&mut self) -> Option<Result<Outcome<T>>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// In the order of the input instead. Results that are early are held, encoded, up to
    /// [64 MiB](crate::names::REORDER_BYTES); then no new chunk is begun until the straggler is there.
    pub fn ordered(mut self) -> Self {
        self.stage.order();
        self
    }
}

impl<T> Values<Nothing, T> {
    /// Of a run that is under way.
    pub(crate) fn of(mut typed: Box<TypedRun<Nothing>>) -> Values<Nothing, T> {
        typed.announce();
        Values(Details { stage: Stage::Running(typed), value: std::marker::PhantomData })
    }
}

/// Values as they finish: `Ok((index, value))`, or the chunk's failure. Made by [`Map::stream`].
///
/// The outer result is an error only when the run itself cannot go on, and then the last item:
///
/// ```
/// # fn main() -> cloud::Result<()> {
/// # pollster::block_on(async {
/// let mut squares = cloud::map(|x: u32| x * x, 1..=3).stream();
/// let mut sum = 0;
/// while let Some(outcome) = squares.next().await {
///     match outcome? {
///         Ok((_index, square)) => sum += square,
///         Err(failure) => eprintln!("{failure}"),
///     }
/// }
/// assert_eq!(sum, 14);
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Cancellation
/// Dropping it cancels the run.
#[must_use = "streams do nothing unless polled"]
pub struct Values<S, T>(Details<S, T>);

/// What [`Values`] gives for each chunk.
pub type Value<T> = Result<(usize, T), Failure>;

impl<S, T> Unpin for Values<S, T> {}

impl<S: Source, T: Wire> Stream for Values<S, T>
where
    S::Item: Wire,
{
    type Item = Result<Value<T>>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_as(cx, |outcome| outcome.result.map(|value| (outcome.index, value)))
    }
}

impl<S: Source, T: Wire> Values<S, T>
where
    S::Item: Wire,
{
    /// The next value. Cancel-safe: nothing is lost if this future is dropped.
    pub async fn next(&mut self) -> Option<Result<Value<T>>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// In the order of the input instead; see [`Details::ordered`].
    pub fn ordered(self) -> Self {
        Values(self.0.ordered())
    }
}

impl<S: Source, T: Wire> Map<S, T>
where
    S::Item: Wire,
{
    /// Values as they finish, with their index. [`.ordered()`](Values::ordered) gives them in input order.
    pub fn stream(self) -> Values<S, T> {
        Values(self.details())
    }

    /// Outcomes as they finish, with slot, attempt and time.
    pub fn details(self) -> Details<S, T> {
        Details { stage: Stage::planned(self.source, self.plan), value: std::marker::PhantomData }
    }
}

impl<I: Iterator, T: Wire> Map<Iter<I>, T>
where
    I::Item: Wire,
{
    /// [`stream`](Map::stream) as a blocking iterator.
    pub fn iter(self) -> Blocking<I, T> {
        let mut values = self.stream();
        if let Some(form) = values.0.stage.form() {
            form.blocking = true;
        }
        Blocking(values)
    }
}

/// Values as they finish, by blocking. Made by [`Map::iter`].
///
/// # Cancellation
/// Dropping it cancels the run.
#[must_use = "iterators do nothing unless consumed"]
pub struct Blocking<I, T>(Values<Iter<I>, T>);

impl<I: Iterator, T: Wire> Iterator for Blocking<I, T>
where
    I::Item: Wire,
{
    type Item = Result<Value<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Poll::Ready(next) =
                Pin::new(&mut self.0).poll_next(&mut Context::from_waker(Waker::noop()))
            {
                return next;
            }
        }
    }
}
