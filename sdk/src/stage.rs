//! From plan to run: nothing happens before the first poll.

use std::task::{Context, Poll};

use crate::{
    error::Halting, failure::Outcome, function::Wire, inputs::Source, map::Plan, running::Form,
    typed::TypedRun,
};

/// A run that begins at its first poll.
pub(crate) enum Stage<S> {
    Planned(Box<(S, Plan)>, Form),
    Running(Box<TypedRun<S>>),
    Over,
}

impl<S: Source> Stage<S>
where
    S::Item: Wire,
{
    pub(crate) fn planned(source: S, plan: Plan) -> Stage<S> {
        Stage::Planned(Box::new((source, plan)), Form::default())
    }

    /// See [`TypedRun::poll_outcome`].
    #[inline]
    pub(crate) fn poll_outcome<T: Wire, R>(
        &mut self,
        cx: &mut Context<'_>,
        form: impl FnOnce(Outcome<T>) -> R,
    ) -> Poll<Halting<Option<R>>> {
        if let Stage::Running(run) = self {
            let outcome = run.poll_outcome(cx, form);
            if run.is_over() {
                // Its slots are for others now, even if the stream is kept.
                *self = Stage::Over;
            }
            return outcome;
        }
        match std::mem::replace(self, Stage::Over) {
            Stage::Planned(planned, asked) => {
                let (source, plan) = *planned;
                *self = Stage::Running(Box::new(TypedRun::start(source, plan, asked)?));
                self.poll_outcome(cx, form)
            }
            _ => Poll::Ready(Ok(None)),
        }
    }

    pub(crate) fn form(&mut self) -> Option<&mut Form> {
        match self {
            Stage::Planned(_, form) => Some(form),
            _ => None,
        }
    }

    /// In input order; before the first outcome.
    pub(crate) fn order(&mut self) {
        match self {
            Stage::Planned(_, form) => form.ordered = true,
            Stage::Running(run) => run.order(),
            Stage::Over => {}
        }
    }

    pub(crate) fn expected(&self) -> Option<usize> {
        match self {
            Stage::Running(run) => run.expected(),
            _ => None,
        }
    }
}
