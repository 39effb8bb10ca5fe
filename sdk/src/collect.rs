//! All outcomes of a run as one value: what `.await` and `.wait()` give.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::{
    error::{Error, Result},
    failure::{Failure, Outcome},
    function::Wire,
    inputs::{Iter, Nothing, Source},
    map::{Every, Map, One, Outcomes},
    stage::Stage,
    typed::TypedRun,
};

/// Longest time one poll takes before other tasks of the executor have their turn.
const SLICE: Duration = Duration::from_micros(500);

/// Values that room is made for at once.
const MOST_RESERVED: usize = 1 << 16;

/// Outcomes taken between two looks at the clock.
const OUTCOMES_PER_LOOK: usize = 64;

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
        let failures = outcomes.failures_in_order();
        let chunks = outcomes.values.len().max(failures.last().map_or(0, |failure| failure.chunk + 1));
        let mut failures = failures.into_iter().peekable();
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

impl<T, G> Collect<Nothing, T, G> {
    /// Of a run that is under way.
    pub(crate) fn of(mut typed: Box<TypedRun<Nothing>>) -> Collect<Nothing, T, G> {
        typed.announce();
        Collect {
            stage: Stage::Running(typed),
            gathered: Gathered { values: Vec::new(), failures: Vec::new() },
            form: std::marker::PhantomData,
        }
    }
}

impl<S: Source, T: Wire, G: Gather<T>> IntoFuture for Map<S, T, G>
where
    S::Item: Wire,
{
    type Output = Result<G::Output>;
    type IntoFuture = Collect<S, T, G>;

    fn into_future(self) -> Collect<S, T, G> {
        Collect {
            stage: Stage::planned(self.source, self.plan),
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
            let Collect { stage, gathered, .. } = &mut *self;
            let outcome = match stage.poll_outcome(cx, |outcome| gathered.add(outcome)) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => return Poll::Pending,
            };
            match outcome {
                Ok(Some(())) if taken == 1 => {
                    // A hint, and perhaps a wild one: beyond this the vector grows with the values.
                    let expected = stage.expected().unwrap_or(0).min(MOST_RESERVED);
                    gathered.values.reserve_exact(expected.saturating_sub(gathered.values.len()));
                }
                Ok(Some(())) => {}
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
                    return Poll::Ready(Err(*error));
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
