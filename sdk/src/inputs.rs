//! What a map can run over: anything iterable, and any stream.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

/// Something that a map can run over. Implemented for everything iterable and for every [`Stream`]; `M` tells
/// the two apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither iterable nor a stream",
    note = "give `cloud::map` a vector, a range, an iterator or a `Stream`"
)]
pub trait Inputs<M> {
    /// One chunk.
    type Item;
    /// How chunks are pulled.
    type Source: Source<Item = Self::Item>;

    #[doc(hidden)]
    fn into_source(self) -> Self::Source;
}

/// Pulls one chunk after the other. Implemented by [`Iter`] and [`FromStream`].
pub trait Source {
    /// One chunk.
    type Item;

    /// The next chunk, `None` at the end. Not called again after the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::Item>>;

    /// How many chunks are left, if that is certain.
    fn remaining(&self) -> Option<usize>;
}

/// Chunks from an iterator. It needs neither `Send` nor `'static`, and is pulled only as fast as slots take.
#[derive(Debug)]
pub struct Iter<I>(I);

/// Chunks from a stream.
#[derive(Debug)]
pub struct FromStream<S>(Pin<Box<S>>);

#[doc(hidden)]
#[derive(Debug)]
pub struct ByIteration;

#[doc(hidden)]
#[derive(Debug)]
pub struct ByStream;

impl<T: IntoIterator> Inputs<ByIteration> for T {
    type Item = T::Item;
    type Source = Iter<T::IntoIter>;

    fn into_source(self) -> Iter<T::IntoIter> {
        Iter(self.into_iter())
    }
}

impl<S: Stream> Inputs<ByStream> for S {
    type Item = S::Item;
    type Source = FromStream<S>;

    fn into_source(self) -> FromStream<S> {
        FromStream(Box::pin(self))
    }
}

impl<I: Iterator> Source for Iter<I> {
    type Item = I::Item;

    #[inline]
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }

    fn remaining(&self) -> Option<usize> {
        exact(self.0.size_hint())
    }
}

impl<S: Stream> Source for FromStream<S> {
    type Item = S::Item;

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.as_mut().poll_next(cx)
    }

    fn remaining(&self) -> Option<usize> {
        exact(self.0.size_hint())
    }
}

/// The input of a run that has all its inputs already.
#[derive(Debug)]
pub struct Nothing(pub(crate) ());

impl Source for Nothing {
    type Item = ();

    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<()>> {
        Poll::Ready(None)
    }

    fn remaining(&self) -> Option<usize> {
        Some(0)
    }
}

fn exact((least, most): (usize, Option<usize>)) -> Option<usize> {
    most.filter(|most| *most == least)
}
