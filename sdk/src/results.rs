//! The forms in which a run's outcomes are taken: a future of all, a stream, a blocking iterator.

use std::{
    future::{Future, IntoFuture, poll_fn},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures_core::Stream;

use crate::{
    error::{Error, Result},
    failure::{Failure, Outcome},
    function::Wire,
    inputs::{Iter, Source},
    map::{Every, Map, One, Outcomes, Plan},
    run::Form,
    typed::TypedRun,
};

/// Longest time one poll takes before other tasks of the executor have their turn.
const SLICE: Duration = Duration::from_micros(500);

/// Outcomes taken between two looks at the clock.
const OUTCOMES_PER_LOOK: usize = 64;

/// A run that begins at its first poll.
enum Stage<S> {
    Planned(Box<(S, Plan)>, Form),
    Running(Box<TypedRun<S>>),
    Over,
}

impl<S: Source> Stage<S>
where
    S::Item: Wire,
{
    #[inline]
    fn poll_outcome<T: Wire>(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Outcome<T>>>> {
        if let Stage::Running(run) = self {
            return run.poll_outcome(cx);
        }
        match std::mem::replace(self, Stage::Over) {
            Stage::Planned(planned, form) => {
                let (source, plan) = *planned;
                *self = Stage::Running(Box::new(TypedRun::start(source, plan, form)?));
                self.poll_outcome(cx)
            }
            _ => Poll::Ready(Ok(None)),
        }
    }

    fn form(&mut self) -> Option<&mut Form> {
        match self {
            Stage::Planned(_, form) => Some(form),
            _ => None,
        }
    }

    fn expected(&self) -> Option<usize> {
        match self {
            Stage::Running(run) => run.expected(),
            _ => None,
        }
    }
}

/// How a run's outcomes become one value.
pub trait Gather<T> {
    /// The value.
    type Output;

    #[doc(hidden)]
    fn gather(outcomes: Gathered<T>) -> Result<Self::Output>;
}

/// Outcomes by their chunk's index.
#[doc(hidden)]
#[derive(Debug)]
pub struct Gathered<T> {
    values: Vec<Option<T>>,
    failures: Vec<Failure>,
}

impl<T> Gathered<T> {
    fn add(&mut self, outcome: Outcome<T>) {
        match outcome.result {
            Ok(value) => {
                if self.values.len() <= outcome.index {
                    self.values.resize_with(outcome.index + 1, || None);
                }
                self.values[outcome.index] = Some(value);
            }
            Err(failure) => self.failures.push(failure),
        }
    }

    fn failures_in_order(&mut self) -> Vec<Failure> {
        let mut failures = std::mem::take(&mut self.failures);
        failures.sort_by_key(|failure| failure.chunk);
        failures
    }
}

impl<T> Gather<T> for Every {
    type Output = Vec<T>;

    fn gather(mut outcomes: Gathered<T>) -> Result<Vec<T>> {
        let failures = outcomes.failures_in_order();
        if failures.is_empty() {
            Ok(outcomes.values.into_iter().flatten().collect())
        } else {
            Err(Error::Failed(failures))
        }
    }
}

impl<T> Gather<T> for One {
    type Output = T;

    fn gather(mut outcomes: Gathered<T>) -> Result<T> {
        let failures = outcomes.failures_in_order();
        outcomes.values.pop().flatten().ok_or(Error::Failed(failures))
    }
}

impl<T> Gather<T> for Outcomes {
    type Output = Vec<Result<T, Failure>>;

    fn gather(mut outcomes: Gathered<T>) -> Result<Self::Output> {
        let mut failures = outcomes.failures_in_order().into_iter().peekable();
        let chunks =
            outcomes.values.len().max(failures.clone().last().map_or(0, |failure| failure.chunk + 1));
        outcomes.values.resize_with(chunks, || None);
        let mut all = Vec::with_capacity(chunks);
        for (index, value) in outcomes.values.into_iter().enumerate() {
            match value {
                Some(value) => all.push(Ok(value)),
                // With `fail_fast`, chunks that never ran have no outcome and are left out.
                None => all.extend(failures.next_if(|failure| failure.chunk == index).map(Err)),
            }
        }
        Ok(all)
    }
}

/// The future of a whole map: all outcomes, gathered as `G` says.
///
/// # Cancellation
/// Dropping it cancels the run.
#[must_use = "futures do nothing unless awaited"]
pub struct Collect<S, T, G> {
    stage: Stage<S>,
    gathered: Gathered<T>,
    form: std::marker::PhantomData<fn() -> G>,
}

impl<S: Source, T: Wire, G: Gather<T>> IntoFuture for Map<S, T, G>
where
    S::Item: Wire,
{
    type Output = Result<G::Output>;
    type IntoFuture = Collect<S, T, G>;

    fn into_future(self) -> Collect<S, T, G> {
        Collect {
            stage: Stage::Planned(Box::new((self.source, self.plan)), Form::default()),
            gathered: Gathered { values: Vec::new(), failures: Vec::new() },
            form: std::marker::PhantomData,
        }
    }
}

// Nothing in it is pinned: a stream given as input has its own box.
impl<S, T, G> Unpin for Collect<S, T, G> {}

impl<S: Source, T: Wire, G: Gather<T>> Future for Collect<S, T, G>
where
    S::Item: Wire,
{
    type Output = Result<G::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let begun = Instant::now();
        for taken in 1usize.. {
            let outcome = match self.stage.poll_outcome(cx) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => return Poll::Pending,
            };
            match outcome {
                Ok(Some(outcome)) => {
                    if self.gathered.values.capacity() == 0 {
                        let expected = self.stage.expected().unwrap_or(0);
                        self.gathered.values.reserve_exact(expected);
                    }
                    self.gathered.add(outcome);
                }
                Ok(None) => {
                    let gathered = std::mem::replace(
                        &mut self.gathered,
                        Gathered { values: Vec::new(), failures: Vec::new() },
                    );
                    self.stage = Stage::Over;
                    return Poll::Ready(G::gather(gathered));
                }
                Err(error) => {
                    self.stage = Stage::Over;
                    return Poll::Ready(Err(error));
                }
            }
            if taken % OUTCOMES_PER_LOOK == 0 && begun.elapsed() > SLICE {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

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
        match self.stage.poll_outcome(cx) {
            Poll::Ready(outcome) => {
                if outcome.is_err() {
                    self.stage = Stage::Over;
                }
                Poll::Ready(outcome.transpose())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: Source, T: Wire> Details<S, T>
where
    S::Item: Wire,
{
    /// The next outcome. Cancel-safe: nothing is lost if this future is dropped.
    pub async fn next(&mut self) -> Option<Result<Outcome<T>>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// In the order of the input instead. Results that are early are held, encoded, up to
    /// [64 MiB](crate::names::REORDER_BYTES); then no new chunk is begun until the straggler is there.
    pub fn ordered(mut self) -> Self {
        if let Some(form) = self.stage.form() {
            form.ordered = true;
        }
        self
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

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.0).poll_next(cx);
        next.map(|next| {
            next.map(|outcome| outcome.map(|outcome| outcome.result.map(|value| (outcome.index, value))))
        })
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
        Details {
            stage: Stage::Planned(Box::new((self.source, self.plan)), Form::default()),
            value: std::marker::PhantomData,
        }
    }
}

impl<I: Iterator, T: Wire, G: Gather<T>> Map<Iter<I>, T, G>
where
    I::Item: Wire,
{
    /// Blocks until all is done: `.await` for code that is not async. Works inside a runtime too, where it blocks the
    /// thread it is called on.
    ///
    /// # Errors
    /// As for [`map`](crate::map).
    pub fn wait(self) -> Result<G::Output> {
        let mut whole = self.into_future();
        if let Some(form) = whole.stage.form() {
            form.blocking = true;
        }
        loop {
            // Pending when its slice of time is over, or when progress was to be reported.
            if let Poll::Ready(gathered) = Pin::new(&mut whole).poll(&mut Context::from_waker(Waker::noop()))
            {
                return gathered;
            }
        }
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
